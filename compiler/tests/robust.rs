//! Whatever a job looks like, compiling it ends, without a panic and with every label inside its file.

#![expect(clippy::expect_used, reason = "a test fails by panicking, in its helping functions as well")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use proptest::prelude::*;
use redis_wb_compiler::{Files, Inputs, Live, compile};

fn gallery() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../jobs");
    let folders = [folder.clone(), folder.join("reject"), folder.join("reject/more"), folder.join("rdi")];
    let entries = folders.iter().flat_map(|folder| fs::read_dir(folder).expect("the folder is there"));
    let paths = entries.map(|entry| entry.expect("readable").path());
    let mut paths: Vec<_> = paths.filter(|path| path.extension().is_some_and(|ending| ending == "yaml")).collect();
    paths.sort();
    paths.iter().map(|path| fs::read_to_string(path).expect("readable")).collect()
}

/// Compiles a text as a job or, where it has connections, as the configuration of a job that is right.
fn try_compile(text: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../jobs");
    let read = |name: &str| fs::read_to_string(folder.join(name)).expect("readable");
    let (config, job) = if text.contains("connections") {
        (text.to_owned(), read("employees.yaml"))
    } else {
        (read("config.yaml"), text.to_owned())
    };
    let mut files = Files::new();
    let config = files.add("config.yaml", config);
    let jobs = vec![("job".to_owned(), files.add("job.yaml", job))];
    let mut read = |path: &str| fs::read_to_string(folder.join(path)).map_err(|error| error.to_string());
    let compiled = compile(
        &mut files,
        Inputs { config, jobs, variables: BTreeMap::new(), read: &mut read, live: Live::default() },
    );
    assert_eq!(compiled.bugs, Vec::<String>::new());
    for label in compiled.diagnostics.iter().flat_map(|diagnostic| &diagnostic.labels) {
        let text = &files.get(label.span.file).text;
        assert!(text.get(label.span.start..label.span.end).is_some(), "{label:?} in {text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_changed_job_compiles_or_is_explained(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..12, ".{0,4}"), 1..4),
    ) {
        let gallery = gallery();
        let mut chars: Vec<char> = which.get(&gallery).chars().collect();
        for (at, len, by) in changes {
            let at = at.index(chars.len() + 1);
            let end = (at + len).min(chars.len());
            chars.splice(at..end, by.chars());
        }
        try_compile(&chars.into_iter().collect::<String>());
    }

    #[test]
    fn lines_may_be_exchanged(
        which in any::<prop::sample::Index>(),
        swaps in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..4),
    ) {
        let gallery = gallery();
        let mut lines: Vec<&str> = which.get(&gallery).lines().collect();
        for (left, right) in swaps {
            let (left, right) = (left.index(lines.len()), right.index(lines.len()));
            lines.swap(left, right);
        }
        try_compile(&lines.join("\n"));
    }
}
