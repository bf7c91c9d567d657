//! The job that draining is measured with: changes of hashes of eight fields, each key a row. It must not know how a
//! worker works.

use xtask::Error;
use xtask::servers::Folder;

use super::waiting::Changes;
use super::worker::{self, Job};

/// The table.
pub(super) const TABLE: &str = "CREATE TABLE emp (empno bigint PRIMARY KEY, fname varchar(50), lname varchar(50), \
    title varchar(50), salary numeric(10,2), hired date, email varchar(100), note text)";
/// What makes the table anew, with no checkpoint.
pub(super) const RESET: &str = "DROP TABLE IF EXISTS redis_wb_checkpoint; DROP TABLE IF EXISTS emp";

/// The job.
pub(super) const JOB: Job = (
    "emp",
    "source:
  redis:
    key_pattern: emp:*
    trigger: write-behind
    key: emp:<empno:int>
output:
  - uses: relational.write
    with:
      connection: target
      table: emp
      keys: [empno]
      mapping: [fname, lname, title, salary, hired, email, note]
",
);

/// Writes changes of hashes; `runtime/examples/floor.rs` has the same rows. In a cluster a server has some of the keys.
const WRITE: &str = "for i = ARGV[1], ARGV[2] do
    local key = i % tonumber(ARGV[3])
    local done = redis.pcall('HSET', 'emp:' .. key, 'empno', key, 'fname', 'Ada' .. i, 'lname', 'Lovelace',
        'title', 'Countess', 'salary', '5200.50', 'hired', '1843-09-05', 'email', 'ada' .. key .. '@example.com',
        'note', 'change ' .. i)
    if type(done) == 'table' and not string.find(done.err, 'non local key') then return done end
end";

/// A folder with the job, its connection, and settings of the applier.
pub(super) fn project(connection: &str, applier: &str) -> Result<Folder, Error> {
    worker::project(JOB, connection, applier)
}

/// Changes of so many keys, in turns.
pub(super) const fn changes(changes: u64, keys: u64) -> Changes<'static> {
    Changes { script: WRITE, changes, keys }
}
