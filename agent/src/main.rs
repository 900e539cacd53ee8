//! The agent: devenv's helper inside a node of the cluster.
//!
//! `devenv-agent serve` speaks the protocol on standard input and output until its input ends. It keeps nothing.

#[expect(clippy::unnecessary_wraps, reason = "commands follow")]
fn main() -> std::io::Result<()> {
    Ok(())
}
