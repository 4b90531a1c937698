//! What fuzzing starts from, and every input that ever broke something, through the same checks as
//! `just fuzz` runs them, without the engine that looks for more.

use std::{fs, path::Path};

#[path = "../../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "it is a crate of its own when the engine runs it")]
mod fuzz;

fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let mut seeds: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|seed| seed.unwrap().path())
        .map(|path| (path.display().to_string(), fs::read(&path).unwrap()))
        .collect();
    seeds.sort();
    seeds
}

#[test]
fn every_seed_comes_to_what_it_must() {
    for (target, check) in fuzz::ALL {
        let seeds = seeds(target);
        assert!(seeds.len() >= 8, "{target} has {}", seeds.len());
        let mut service = fuzz::Service::new();
        for (name, seed) in seeds {
            println!("{name}");
            check(&mut service, &seed);
        }
    }
}

#[test]
fn every_check_is_a_target() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut targets: Vec<_> = fs::read_dir(root.join("fuzz/targets"))
        .unwrap()
        .map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    targets.sort();
    let mut checks = fuzz::ALL.map(|(name, _)| name);
    checks.sort_unstable();
    assert_eq!(targets, checks);
    let recipes = fs::read_to_string(root.join("justfile")).unwrap();
    for name in checks {
        let binary = format!("name = \"{name}\"");
        assert!(fs::read_to_string(root.join("fuzz/Cargo.toml")).unwrap().contains(&binary));
        assert!(recipes.contains(name), "`just fuzz` runs {name}");
    }
}
