//! Data directories that cannot be used: every command says so in one line, with what to do, and
//! leaves them as they were, to the byte and the second.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use super::{EMAIL, PASSWORD, Server, done, failed, finish, run, stdout, temp};

/// Every command that works on a data directory, and its arguments.
const COMMANDS: [&[&str]; 14] = [
    &["serve", "--listen", "127.0.0.1:0"],
    &["account", "list"],
    &["account", "add", "bob@example.com"],
    &["account", "password", EMAIL],
    &["account", "disable", EMAIL],
    &["account", "remove", EMAIL],
    &["session", "list", EMAIL],
    &["session", "revoke", EMAIL],
    &["session", "revoke", "--all-accounts", "--yes"],
    &["keys", "list"],
    &["keys", "rotate"],
    &["backup", "new-backup"],
    &["restore", "backup"],
    &["restore", "--replace", "backup"],
];

/// Without the warning about cheap password hashes: what is left on stderr is the failure.
const QUIET: (&str, &str) = ("COUNTERSIGN_LOG__FILTER", "error");

/// Everything about the files in `dir` that a command could change.
fn listing(dir: &Path) -> BTreeMap<PathBuf, (u32, i64, i64, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut rest = vec![dir.to_owned()];
    while let Some(path) = rest.pop() {
        let Ok(meta) = fs::symlink_metadata(&path) else { continue };
        let content = if meta.is_dir() {
            rest.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            Vec::new()
        } else {
            fs::read(&path).unwrap()
        };
        found.insert(path, (meta.mode(), meta.mtime(), meta.mtime_nsec(), content));
    }
    // A backup that is begun and given up shows in the time of the directory it was meant for.
    found.remove(dir);
    found
}

/// Runs one command on `dir/DATA`. A server that should not have started is stopped.
fn attempt(dir: &Path, data: &str, args: &[&str]) -> Output {
    let mut command = Command::new("timeout");
    command
        .args(["60", env!("CARGO_BIN_EXE_countersign"), "--data-dir", data])
        .args(args)
        .env_clear()
        .env(QUIET.0, QUIET.1)
        .current_dir(dir);
    finish(&mut command, &format!("{PASSWORD}\n"))
}

/// Runs all commands on `dir/DATA`; each has to fail with a line that has all of `words`, and
/// write nothing.
fn all_refuse(dir: &Path, data: &str, words: &[&str]) {
    let before = listing(dir);
    for args in COMMANDS {
        let said = failed(&attempt(dir, data, args));
        for word in words {
            assert!(said.contains(word), "{data}, {args:?}: {said:?} has no {word:?}");
        }
        assert!(listing(dir) == before, "{data}, {args:?}: something was written");
    }
}

/// A directory with a store, keys and a backup in it.
fn world() -> tempfile::TempDir {
    let dir = temp();
    done(&run(dir.path(), &["account", "add", EMAIL], PASSWORD));
    done(&run(dir.path(), &["backup", "backup"], ""));
    dir
}

#[test]
fn a_directory_of_another_version_is_left_to_it() {
    let dir = world();
    fs::write(dir.path().join("data/store/format"), "countersign store 99\n").unwrap();
    all_refuse(dir.path(), "data", &["data/store", "format 99", "run the version that wrote it"]);
    // What else a later version may have left there changes nothing.
    fs::remove_dir_all(dir.path().join("data/keys")).unwrap();
    fs::remove_file(dir.path().join("data/lock")).unwrap();
    all_refuse(dir.path(), "data", &["data/store", "format 99", "run the version that wrote it"]);
}

#[test]
fn a_directory_of_another_program_is_left_to_it() {
    let dir = world();
    let cure = "choose another directory with --data-dir";
    // A database, without the word that it is ours; with other words; and something else.
    fs::remove_file(dir.path().join("data/store/format")).unwrap();
    all_refuse(dir.path(), "data", &["data/store does not hold a Countersign store", cure]);
    fs::write(dir.path().join("data/store/format"), "9").unwrap();
    all_refuse(dir.path(), "data", &["data/store does not hold a Countersign store", cure]);
    fs::remove_dir_all(dir.path().join("data/store")).unwrap();
    fs::write(dir.path().join("data/store"), "a file").unwrap();
    all_refuse(dir.path(), "data", &["data/store does not hold a Countersign store", cure]);

    // Other databases have their files directly in the directory.
    for (n, mark) in ["PG_VERSION", "dump.rdb", "data.mdb", "blobs", "CURRENT", "WiredTiger"]
        .into_iter()
        .enumerate()
    {
        let data = format!("of-{mark}");
        fs::create_dir(dir.path().join(&data)).unwrap();
        fs::write(dir.path().join(&data).join(mark), "17\n").unwrap();
        let none = format!("{data} does not hold a Countersign store");
        let before = listing(dir.path());
        // One for all, and all for one.
        for args in if n == 0 { &COMMANDS[..] } else { &COMMANDS[2..3] } {
            let said = failed(&attempt(dir.path(), &data, args));
            let said_so = said.contains(&none) || said.contains("there is no store in");
            assert!(said_so && said.contains("with --data-dir"), "{args:?}: {said}");
            assert!(listing(dir.path()) == before, "{args:?}: something was written");
        }
    }
    // What lies beside a store is nobody's business, and a page about it no database.
    fs::create_dir(dir.path().join("new")).unwrap();
    for name in ["README.md", ".gitignore", "log.txt"] {
        fs::write(dir.path().join("new").join(name), "hello").unwrap();
    }
    done(&run(dir.path(), &["account", "list", "--data-dir", "new"], ""));
    fs::write(dir.path().join("new/dump.rdb"), "hello").unwrap();
    done(&run(dir.path(), &["account", "list", "--data-dir", "new"], ""));
}

#[test]
fn a_file_is_no_directory() {
    let dir = world();
    fs::write(dir.path().join("file"), "hello").unwrap();
    for data in ["file", "file/data"] {
        let before = listing(dir.path());
        for args in COMMANDS {
            let said = failed(&attempt(dir.path(), data, args));
            assert!(said.contains("file") && said.contains("--data-dir"), "{args:?}: {said}");
            assert!(listing(dir.path()) == before, "{args:?}: something was written");
        }
    }
}

#[tokio::test]
async fn a_directory_that_is_in_use_is_left_to_who_uses_it() {
    let dir = world();
    let server = Server::start_with(dir.path(), &[QUIET]);
    let token = server.log_in().await;
    let pid = server.process.id().to_string();
    // So that the commands cannot ask the server.
    let admin = fs::read(dir.path().join("data/admin.json")).unwrap();
    fs::remove_file(dir.path().join("data/admin.json")).unwrap();
    let before = listing(dir.path());
    for args in COMMANDS {
        let output = attempt(dir.path(), "data", args);
        if args == ["keys", "list"] {
            // These are only read, whoever else does.
            assert!(stdout(&output).contains("signing"));
        } else {
            let said = failed(&output);
            assert!(said.contains("data") && said.contains(&pid), "{args:?}: {said}");
        }
        let same = listing(dir.path()).into_iter().filter(|(path, _)| !is_database(path));
        let meant = before.clone().into_iter().filter(|(path, _)| !is_database(path));
        assert!(same.eq(meant), "{args:?}: something was written");
    }
    fs::write(dir.path().join("data/admin.json"), admin).unwrap();
    assert_eq!(server.session_status(&token).await, 200);
}

/// Whether the server that runs meanwhile may write to it.
fn is_database(path: &Path) -> bool {
    path.parent().is_some_and(|dir| dir.ends_with("store")) || path.ends_with("store")
}

/// Mounts a disk of its own at `disk`, puts `data` on it and makes it as `$1` says; then runs the
/// binary `$2` with each of the lines of `commands`, and writes down what came of it and what the
/// disk looked like before and after.
const ON_A_DISK: &str = r#"
    look() { find disk -printf '%p %y %m %s %T@ %i\n' | sort; find disk -type f ! -name ballast | sort | xargs cat | cksum; }
    mount -t tmpfs -o size=16m none disk
    cp -a data disk/old
    case $1 in
        full) dd if=/dev/zero of=disk/ballast bs=4096 2>dd || true ;;
        read-only) mount -o remount,ro disk ;;
    esac
    mkdir result
    look > before
    n=0
    while read -r line; do
        printf '%s\n' 'correct horse battery staple' | timeout 60 "$2" $line > result/$n.out 2> result/$n.err && code=0 || code=$?
        echo $code > result/$n.code
        look > after
        cmp -s before after && echo same > result/$n.disk || diff before after > result/$n.disk || true
        n=$((n + 1))
    done < commands
"#;

/// What became of each command on such a disk: its output, and what changed on the disk. `None`
/// where this user may not mount anything.
fn on_a_disk(kind: &str, commands: &[String]) -> Option<Vec<(Output, String)>> {
    let dir = world();
    let path = |name: &str| dir.path().join(name);
    fs::create_dir(path("disk")).unwrap();
    fs::write(path("commands"), commands.join("\n") + "\n").unwrap();
    let mut shell = Command::new("unshare");
    shell
        .args(["--user", "--map-root-user", "--mount", "sh", "-euc", ON_A_DISK, "sh", kind])
        .arg(env!("CARGO_BIN_EXE_countersign"))
        .env(QUIET.0, QUIET.1)
        .current_dir(dir.path());
    let done = shell.output();
    let worked = done.as_ref().is_ok_and(|done| done.status.success());
    if !worked {
        // On a machine of one's own it may be so; where everything has to be tested it may not.
        assert!(std::env::var_os("CI").is_none(), "no disk could be mounted: {done:?}");
        println!("skipped: no disk can be mounted here: {done:?}");
        return None;
    }
    let text = |n: usize, what: &str| fs::read(path("result").join(format!("{n}.{what}"))).unwrap();
    let output = |n| {
        let code: i32 = String::from_utf8(text(n, "code")).unwrap().trim().parse().unwrap();
        let status = std::os::unix::process::ExitStatusExt::from_raw(code << 8);
        let output = Output { status, stdout: text(n, "out"), stderr: text(n, "err") };
        (output, String::from_utf8(text(n, "disk")).unwrap())
    };
    Some((0..commands.len()).map(output).collect())
}

#[test]
fn a_full_or_read_only_disk_is_said_to_be_so_and_not_written_to() {
    for (kind, words) in [
        ("full", ["is full: make at least 4 MiB of room", "--data-dir"]),
        ("read-only", ["read-only filesystem", "--data-dir"]),
    ] {
        let all = ["disk/old", "disk/new", "disk/new/below"]
            .iter()
            .flat_map(|data| COMMANDS.map(|args| (*data, args)));
        let line = |(data, args): (&str, &[&str])| format!("{} --data-dir {data}", args.join(" "));
        let commands: Vec<_> = all.clone().map(line).collect();
        let Some(outcomes) = on_a_disk(kind, &commands) else { return };
        for ((data, args), (output, disk)) in all.zip(outcomes) {
            assert_eq!(disk, "same\n", "{kind}, {data}, {args:?}");
            // Where there are no keys, that is found out by reading, too.
            let only_reads = args == ["keys", "list"]
                || (matches!(args[0], "keys" | "backup") && data != "disk/old");
            if !only_reads {
                let said = failed(&output).to_lowercase();
                let clear = words.iter().all(|word| said.contains(&word.to_lowercase()));
                assert!(clear && said.contains(data), "{kind}, {data}, {args:?}: {said}");
            } else if data == "disk/old" {
                assert!(done(&output).contains("signing"));
            } else {
                let said = failed(&output);
                assert!(said.starts_with("there ") && said.contains(data), "{args:?}: {said}");
                assert!(said.contains("--data-dir"), "{args:?}: {said}");
            }
        }
    }
}
