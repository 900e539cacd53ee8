//! The agent: devenv's helper inside a node of the cluster.
//!
//! `devenv-agent serve` speaks the protocol on standard input and output until its input ends. It keeps nothing.
//! `devenv-agent thaw` waits for one that froze containers, and thaws them.
//! `devenv-agent pack` writes a volume into an archive, `devenv-agent unpack` makes the volumes of one: see `archive`.
//! `devenv-agent mount` mounts the image in which volumes are kept, `devenv-agent writable` has a directory instead: see
//! `store`.
//! `devenv-agent init` is the first process of a live service's container: it runs the service and restarts it.

mod cgroups;
mod containers;
mod files;
mod init;
mod inits;
mod listener;
mod logs;
mod probe;
mod processes;
mod remount;
mod serve;
mod store;
mod volumes;

use std::{
    ffi::OsStr,
    io::{self, Write},
    process::ExitCode,
};

use rustix::{fs::Mode, process::umask};

/// What a command of the agent ends with that it could not begin.
const NOT_BEGUN: u8 = 125;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let command = arguments.next();
    match command.as_deref().and_then(OsStr::to_str) {
        Some("init") => init::main(arguments),
        Some("mount") => store::mount(arguments),
        Some("pack") => volumes::pack(arguments),
        Some("serve") => ended(serve()),
        Some("thaw") => ended(cgroups::thaw_when_left(arguments)),
        Some("unpack") => volumes::unpack(arguments),
        Some("writable") => store::writable(arguments),
        Some(command) => not_begun(&format!("there is no command `{command}`")),
        None => not_begun("which command?"),
    }
}

/// Runs `devenv-agent serve`.
fn serve() -> io::Result<()> {
    // Files are made with the rights that they are asked to have.
    umask(Mode::empty());
    serve::serve(&mut io::stdin().lock(), io::stdout())
}

/// How a command ended.
pub(crate) fn ended(end: io::Result<()>) -> ExitCode {
    match end {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

/// Says why nothing was begun.
pub(crate) fn not_begun(why: &str) -> ExitCode {
    say(why);
    ExitCode::from(NOT_BEGUN)
}

/// Says something on standard error. Nobody may be there to hear it, which is no reason to end.
fn say(text: &str) {
    let _ = writeln!(io::stderr(), "devenv-agent: {text}");
}
