//! The target of servers with vector registers is the compiler's own for bare metal in all but these: what is linked, and where, is the same for every server.

use std::path::Path;
use std::process::Command;

use serde_json::{Map, Value};

/// How the compiler describes a target.
fn described(target: &str) -> Map<String, Value> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut command = Command::new("rustc");
    command.args(["-Zunstable-options", "--print", "target-spec-json", "--target", target]).env("RUSTC_BOOTSTRAP", "1").current_dir(root);
    let output = command.output().expect("there is a compiler");
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("it is JSON")
}

#[test]
fn target_with_vector_registers_is_the_compilers_own_but_for_them() {
    let (mut soft, mut fpu) = (described("x86_64-unknown-none"), described("tools/xtask/x86_64-none-fpu.json"));
    assert_eq!(soft.remove("rustc-abi"), Some("softfloat".into()), "the one without passes numbers in other registers");
    assert!(soft.remove("features").is_some_and(|features| features.as_str().is_some_and(|features| features.contains("-sse2"))));
    // What people read, and what nobody here uses.
    for described in [&mut soft, &mut fpu] {
        described.remove("metadata");
        described.remove("supported-sanitizers");
    }
    assert_eq!(fpu, soft);
}
