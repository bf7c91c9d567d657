//! The users that servers run as, since none of them runs as root. It must not know which server it is.

use std::fs;
use std::path::Path;
use std::process::Command;

use rustix::process::geteuid;

use crate::{Error, tools};

/// A user of this machine.
pub(super) struct User {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl User {
    /// The user that runs a server where we are root: `name`, or `nobody` where there is none of that name. `None`
    /// where we are not root.
    pub(super) fn for_server(name: &str) -> Result<Option<Self>, Error> {
        if !geteuid().is_root() {
            return Ok(None);
        }
        let users = fs::read_to_string("/etc/passwd").map_err(Error::during("read /etc/passwd"))?;
        let find = |name: &str| {
            users.lines().find_map(|line| {
                let mut fields = line.split(':');
                (fields.next() == Some(name)).then_some(())?;
                let (uid, gid) = (fields.nth(1)?, fields.next()?);
                Some(Self { uid: uid.parse().ok()?, gid: gid.parse().ok()? })
            })
        };
        match find(name).or_else(|| find("nobody")) {
            Some(user) => Ok(Some(user)),
            None => {
                Err(Error::new(format!("a server must not run as root, and there is no user `{name}` or `nobody`"))
                    .with_help("run the tests as another user than root"))
            }
        }
    }
}

/// A command for `program` that does not run as root.
pub(super) fn unprivileged(program: &Path, user: &str) -> Result<Command, Error> {
    let Some(user) = User::for_server(user)? else {
        return Ok(Command::new(program));
    };
    let mut command = Command::new("setpriv");
    command
        .arg(format!("--reuid={}", user.uid))
        .arg(format!("--regid={}", user.gid))
        .args(["--clear-groups", "--"])
        .arg(program);
    Ok(command)
}

/// Gives a folder and all in it to the user that a server runs as.
pub(super) fn give_away(folder: &Path, user: &str) -> Result<(), Error> {
    let Some(User { uid, gid }) = User::for_server(user)? else {
        return Ok(());
    };
    tools::output(Command::new("chown").args(["-R", &format!("{uid}:{gid}")]).arg(folder)).map(drop)
}
