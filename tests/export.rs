//! Exports, read by code that knows nothing of the program but what `docs/records.md` says.

#![expect(clippy::disallowed_methods, reason = "an auditor reads the file as it lies there")]

use std::{fs, path::Path};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::ledger::{hold, open, rootstamp, tamper, with_passed};

fn export(data: &Path, format: &str, out: &Path, more: &[&str]) -> (Option<i32>, String) {
    let mut arguments = vec!["export", "--format", format, "--out", out.to_str().unwrap()];
    arguments.extend(more);
    let output = rootstamp(&arguments, data);
    (output.status.code(), String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap())
}

/// As an auditor would: from the lines alone, by the recipe in the documentation.
fn head_of(jsonl: &str) -> Result<String, usize> {
    let mut head = "0".repeat(64);
    for (at, line) in jsonl.lines().enumerate() {
        let entry: Value = serde_json::from_str(line).map_err(|_| at)?;
        let plain = |name: &str| match &entry[name] {
            Value::Null => String::new(),
            Value::Bool(flag) => u8::from(*flag).to_string(),
            Value::String(text) => text.clone(),
            other @ (Value::Number(_) | Value::Array(_) | Value::Object(_)) => other.to_string(),
        };
        let mut hashed = "rootstamp-entry-v1\n".to_owned();
        for name in "seq kind mode station run serial device wall mono clock_back prev_hash body".split(' ') {
            hashed += &plain(name);
            hashed += "\n";
        }
        let hash = rootstamp::ident::hex(&Sha256::digest(hashed.as_bytes()));
        if plain("hash") != hash || plain("prev_hash") != head {
            return Err(at);
        }
        head = hash;
    }
    Ok(head)
}

#[test]
fn a_stranger_can_recompute_the_chain_from_jsonl() {
    let dir = with_passed(2);
    let out = dir.path().join("out.jsonl");
    let (exit, told) = export(dir.path(), "jsonl", &out, &[]);
    assert_eq!(exit, Some(0), "{told}");
    let jsonl = fs::read_to_string(&out).unwrap();
    assert_eq!(jsonl.lines().count(), 11);
    let head = head_of(&jsonl).unwrap();
    assert!(told.contains(&head), "{told}");
    let forged = jsonl.replacen("AAF0", "AAF1", 1);
    assert_eq!(head_of(&forged), Err(2), "the first Bound");
    let verified = rootstamp(&["records", "verify"], dir.path());
    assert!(String::from_utf8(verified.stdout).unwrap().contains(&head));
}

#[test]
fn a_cell_cannot_become_a_formula() {
    let dir = with_passed(1);
    let mut ledger = open(dir.path()).unwrap();
    for (unit, why) in (2..).zip(["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "a \"quoted\", \r\n=2+2 line"]) {
        hold(&mut ledger, unit, why);
    }
    drop(ledger);
    let out = dir.path().join("out.csv");
    assert_eq!(export(dir.path(), "csv", &out, &["--mode", "training"]).0, Some(0));
    let mut rows = csv::Reader::from_path(&out).unwrap();
    let at = rows.headers().unwrap().iter().position(|name| name == "why").unwrap();
    let rows: Vec<csv::StringRecord> = rows.records().collect::<Result<_, _>>().unwrap();
    assert_eq!(rows.len(), 7);
    let why: Vec<&str> = rows.iter().filter_map(|row| row.get(at)).collect();
    assert_eq!(why, ["", "'=1+1", "'+1", "'-1", "'@SUM(A1)", "'\t=1", "a \"quoted\", \r\n=2+2 line"]);
    assert!(rows.iter().flatten().all(|cell| !cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n'])));
    let text = fs::read_to_string(&out).unwrap();
    assert!(text.starts_with("\"schema_version\",\"mode\",") && text.ends_with("\"\r\n"), "all quoted, RFC 4180 lines");
    assert!(text.contains("lock.approtect: status register, expected closed, observed closed, agrees"));
}

#[test]
fn an_export_replaces_nothing_and_leaves_no_draft() {
    let dir = with_passed(1);
    let out = dir.path().join("out.csv");
    fs::write(&out, "mine").unwrap();
    assert_eq!(export(dir.path(), "csv", &out, &[]).0, Some(2));
    assert_eq!(fs::read_to_string(&out).unwrap(), "mine");
    assert_eq!(export(dir.path(), "csv", &dir.path().join("no/such/dir.csv"), &[]).0, Some(2));
    assert_eq!(export(dir.path(), "bundle", &dir.path().join("b"), &[]).0, Some(2), "comes later");
    assert_eq!(export(dir.path(), "csv", &dir.path().join("p.csv"), &["--mode", "production"]).0, Some(2));
    let mut names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|item| item.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["ledger.sqlite", "out.csv", "station.lock"]);
}

#[test]
fn a_broken_chain_is_not_exported() {
    let dir = with_passed(1);
    tamper(dir.path(), "UPDATE entries SET mono = 1 WHERE seq = 5");
    for format in ["csv", "jsonl"] {
        let out = dir.path().join("out");
        let (exit, told) = export(dir.path(), format, &out, &[]);
        assert_eq!(exit, Some(31));
        assert!(told.contains("entry 5"), "{told}");
        assert!(!out.exists());
    }
}
