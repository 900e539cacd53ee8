//! Builds the agent, which devenv carries in itself: a static program for the nodes of a cluster.

use std::{env, error::Error, path::PathBuf, process::Command};

/// The profile of the root `Cargo.toml` that makes it small.
const PROFILE: &str = "agent";

#[expect(
    clippy::disallowed_methods,
    reason = "a build script is told everything by its environment"
)]
fn main() -> Result<(), Box<dyn Error>> {
    for changed in [
        "agent/src",
        "agent/loop",
        "agent/Cargo.toml",
        "Cargo.lock",
        "build.rs",
    ] {
        println!("cargo::rerun-if-changed={changed}");
    }
    let out = PathBuf::from(env::var("OUT_DIR")?);
    // The nodes are Linux, and run programs of this machine's processor.
    let target = format!("{}-unknown-linux-gnu", env::var("CARGO_CFG_TARGET_ARCH")?);
    // A directory of its own: the one in use is locked by the cargo that waits for this script.
    let build = out.join("agent");
    let status = Command::new(env::var("CARGO")?)
        .current_dir(env::var("CARGO_MANIFEST_DIR")?)
        .args([
            "build",
            "--locked",
            "--package",
            "devenv-agent",
            "--bin",
            "devenv-agent",
        ])
        .args(["--profile", PROFILE, "--target", &target, "--target-dir"])
        .arg(&build)
        .env("CARGO_ENCODED_RUSTFLAGS", "-Ctarget-feature=+crt-static")
        // clippy compiles the agent as a package of its own; here it has to be a program.
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .env_remove("RUSTC_WRAPPER")
        .status()?;
    if !status.success() {
        return Err("the agent cannot be built; cargo says why above".into());
    }
    let binary = build.join(target).join(PROFILE).join("devenv-agent");
    println!("cargo::rustc-env=DEVENV_AGENT={}", binary.display());
    Ok(())
}
