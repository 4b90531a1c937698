//! Generates the client from the OpenAPI document.

use std::{env, error::Error, fs, path::Path};

use serde_json::Value;

const DOCUMENT: &str = "../../../openapi/countersign.json";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={DOCUMENT}");
    let mut document: Value = serde_json::from_str(&fs::read_to_string(DOCUMENT)?)?;
    prepare(&mut document);
    let document = serde_json::from_value(document)?;
    let client = progenitor::Generator::default().generate_tokens(&document)?;
    fs::write(Path::new(&env::var("OUT_DIR")?).join("client.rs"), client.to_string())?;
    Ok(())
}

/// progenitor (0.14) has one type for all successes of an operation, and takes no media type but
/// `application/json` for JSON.
fn prepare(document: &mut Value) {
    let paths = document["paths"].as_object_mut().into_iter().flat_map(|paths| paths.values_mut());
    for operation in paths.filter_map(Value::as_object_mut).flat_map(|path| path.values_mut()) {
        let Some(answers) = operation["responses"].as_object_mut() else { continue };
        let has_body = |answer: &Value| answer.get("content").is_some();
        let success = |status: &str| status.starts_with('2');
        if answers.iter().any(|(status, answer)| success(status) && has_body(answer)) {
            answers.retain(|status, answer| !success(status) || has_body(answer));
        }
        let contents = answers.values_mut().filter_map(|answer| answer.get_mut("content"));
        for content in contents.filter_map(Value::as_object_mut) {
            if let Some(problem) = content.remove("application/problem+json") {
                content.insert("application/json".into(), problem);
            }
        }
    }
}
