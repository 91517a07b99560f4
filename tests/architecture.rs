//! The map of the house and the house itself agree.
//!
//! Reads source files and documents; it links nothing of the crate. The import table is the one of
//! `docs/architecture.md`.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of a test fail like the test itself"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Names that the deterministic core never says.
const CORE_NEVER: [&str; 9] = [
    "tokio",
    "rumqttc",
    "Instant::now",
    "SystemTime",
    "std::env",
    "std::fs",
    "std::thread",
    "thread_rng",
    "from_os_rng",
];

const TOP_LEVEL: [&str; 17] = [
    ".cargo",
    ".ci",
    ".clippy.toml",
    ".deny.toml",
    ".gitignore",
    ".rustfmt.toml",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "benches",
    "config",
    "deploy",
    "docs",
    "models",
    "src",
    "tests",
];

/// What may lie there without belonging to the project.
const NOT_OURS: [&str; 2] = [".git", "target"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn files_below(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files_below(&path, extension, found);
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
}

struct Room {
    is_core: bool,
    imports: BTreeSet<String>,
}

/// The table under «Rooms» in docs/architecture.md: | `room` | owns | kind | may import |.
fn table() -> BTreeMap<String, Room> {
    let mut rooms = BTreeMap::new();
    for line in read(&root().join("docs/architecture.md")).lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, name, _, kind, imports, _] = cells[..] else {
            continue;
        };
        if !["core", "shell"].contains(&kind) {
            continue;
        }
        let imports = imports.replace('`', "");
        let room = Room {
            is_core: kind == "core",
            imports: imports.split_whitespace().map(str::to_owned).collect(),
        };
        rooms.insert(name.trim_matches('`').to_owned(), room);
    }
    assert!(rooms.len() > 10, "no table of rooms found");
    rooms
}

/// Room name and files of everything under src, tests of their own left out.
fn rooms_in_source() -> BTreeMap<String, Vec<PathBuf>> {
    let source = root().join("src");
    let mut files = Vec::new();
    files_below(&source, "rs", &mut files);
    let mut rooms: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for file in files {
        let relative = file.strip_prefix(&source).unwrap();
        let first = relative.components().next().unwrap().as_os_str();
        let name = first.to_string_lossy().trim_end_matches(".rs").to_owned();
        if ["lib", "main"].contains(&name.as_str()) || file.ends_with("tests.rs") {
            continue;
        }
        rooms.entry(name).or_default().push(file);
    }
    rooms
}

/// Code without comments and without the test module at its end.
fn code(file: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    let mut after_test_attribute = false;
    for line in read(file).lines() {
        let trimmed = line.trim_start();
        if after_test_attribute && trimmed.starts_with("mod ") && trimmed.ends_with('{') {
            break;
        }
        after_test_attribute = trimmed.starts_with("#[cfg(test)]");
        let code = match trimmed.find("//") {
            Some(start) if !trimmed[..start].ends_with(':') => &trimmed[..start],
            _ => trimmed,
        };
        lines.push(code.to_owned());
    }
    lines
}

/// The rooms that `text` names after `crate::`.
fn named_rooms(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for rest in text.split("crate::").skip(1) {
        let mut depth = 0;
        let mut word = String::new();
        let mut begins = true;
        for character in rest.chars() {
            match character {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 1 && word.is_empty() => begins = true,
                ':' | ' ' | '\n' if word.is_empty() => {}
                _ if character.is_alphanumeric() || character == '_' => {
                    if begins {
                        word.push(character);
                    }
                    continue;
                }
                _ => {}
            }
            if !word.is_empty() {
                found.insert(std::mem::take(&mut word));
                begins = character == ',';
            }
            if depth <= 0 {
                break;
            }
        }
        if !word.is_empty() {
            found.insert(word);
        }
    }
    found
}

#[test]
fn every_room_is_on_the_map() {
    let on_map: BTreeSet<String> = table().into_keys().collect();
    let in_source: BTreeSet<String> = rooms_in_source().into_keys().collect();
    assert_eq!(on_map, in_source, "docs/architecture.md and src/ differ");
}

#[test]
fn rooms_import_only_what_the_map_allows() {
    let table = table();
    let mut problems = Vec::new();
    for (name, files) in rooms_in_source() {
        let allowed = &table[&name].imports;
        let mut used = BTreeSet::new();
        for file in files {
            for other in named_rooms(&code(&file).join("\n")) {
                if other != name && table.contains_key(&other) {
                    if !allowed.contains(&other) {
                        problems.push(format!("{} uses {other}", file.display()));
                    }
                    used.insert(other);
                }
            }
        }
        // The shell's wiring may come and go; the core's edges are exact.
        for unused in allowed.difference(&used).filter(|_| table[&name].is_core) {
            problems.push(format!(
                "the map lets {name} use {unused}, which it does not"
            ));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn core_imports_core_alone_and_downwards() {
    let table = table();
    for (name, room) in table.iter().filter(|(_, room)| room.is_core) {
        for other in &room.imports {
            assert!(table[other].is_core, "core room {name} may import {other}");
            assert!(
                !table[other].imports.contains(name),
                "{name} and {other} import each other"
            );
        }
    }
}

#[test]
fn core_has_no_clock_no_wires_and_no_files() {
    let table = table();
    let mut problems = Vec::new();
    for (name, files) in rooms_in_source() {
        if !table[&name].is_core {
            continue;
        }
        for file in files {
            for (index, line) in code(&file).iter().enumerate() {
                for word in CORE_NEVER.iter().filter(|word| line.contains(**word)) {
                    problems.push(format!("{}:{}: {word}", file.display(), index + 1));
                }
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn core_never_iterates_a_hash_map() {
    const VERBS: [&str; 7] = [
        ".iter()",
        ".iter_mut()",
        ".keys()",
        ".values()",
        ".values_mut()",
        ".into_iter()",
        ".drain(",
    ];
    let table = table();
    let mut problems = Vec::new();
    for (name, files) in rooms_in_source() {
        if !table[&name].is_core {
            continue;
        }
        for file in files {
            let lines = code(&file);
            let mut maps = BTreeSet::new();
            for line in &lines {
                let declares = line.contains("HashMap<") || line.contains("HashMap::");
                if declares && let Some((before, _)) = line.split_once([':', '=']) {
                    let name = before.split_whitespace().last().unwrap_or_default();
                    if !name.is_empty() && name != "use" && name != "std" {
                        maps.insert(name.to_owned());
                    }
                }
            }
            for map in &maps {
                for (index, line) in lines.iter().enumerate() {
                    let iterates = VERBS
                        .iter()
                        .any(|verb| line.contains(&format!("{map}{verb}")))
                        || line.contains(&format!("in &{map} "))
                        || line.contains(&format!("in &self.{map} "));
                    if iterates {
                        problems.push(format!("{}:{}: {map}", file.display(), index + 1));
                    }
                }
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn the_top_level_holds_nothing_else() {
    let unknown: Vec<String> = fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| !TOP_LEVEL.contains(&name.as_str()) && !NOT_OURS.contains(&name.as_str()))
        .collect();
    assert!(unknown.is_empty(), "unknown at the top level: {unknown:?}");
}

#[test]
fn relative_links_of_the_documents_resolve() {
    let mut documents = vec![root().join("README.md")];
    files_below(&root().join("docs"), "md", &mut documents);
    let mut problems = Vec::new();
    for document in documents {
        let folder = document.parent().unwrap();
        for rest in read(&document).split("](").skip(1) {
            let target = rest.split([')', ' ', '#']).next().unwrap_or_default();
            let is_elsewhere = target.contains("://") || target.starts_with("mailto:");
            if !target.is_empty() && !is_elsewhere && !folder.join(target).exists() {
                problems.push(format!("{}: {target}", document.display()));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn rooms_are_found_in_every_form_of_import() {
    let named = |text: &str| named_rooms(text).into_iter().collect::<Vec<_>>();
    assert_eq!(named("use crate::units::{Metres, SegmentId};"), ["units"]);
    assert_eq!(
        named("use crate::{state::State, units};"),
        ["state", "units"]
    );
    assert_eq!(
        named("let a = crate::wire::decode(crate::network::b);"),
        ["network", "wire"]
    );
}
