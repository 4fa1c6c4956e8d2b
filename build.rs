//! How is the program linked?

use std::env;

/// On Linux the program stands at a fixed address. Otherwise 380,000 pointers have to be set right, on 1,700 pages of memory, before it
/// says its own version: 21 ms of 24. Stack, heap and libraries are still where chance puts them.
#[expect(clippy::disallowed_methods, reason = "Cargo tells a build script of its target in the environment")]
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let target = |key: &str| env::var(format!("CARGO_CFG_TARGET_{key}")).unwrap_or_default();
    let is_known = ["x86_64", "aarch64"].contains(&target("ARCH").as_str());
    if target("OS") == "linux" && target("ENV") == "gnu" && is_known {
        println!("cargo::rustc-link-arg-bins=-no-pie");
    }
}
