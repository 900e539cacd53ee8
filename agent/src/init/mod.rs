//! The first process of a live service's container: it runs the service, and starts it anew when it is asked to.
//!
//! A restart takes milliseconds, for the container stays. Apart from that the service notices nothing: signals reach
//! it, its exit code is the container's, and what it leaves behind is reaped. One thread decides everything
//! (`supervisor`); the others wait for signals (`signals`) and requests (`control`) and report them to it, and gather
//! what commands beside the service say (`beside`).

mod beside;
mod child;
mod control;
mod descendants;
mod options;
mod outbox;
mod signals;
mod stopping;
mod supervisor;
mod terminal;

use std::{ffi::OsString, io, process::ExitCode, sync::mpsc};

use self::{
    child::Service,
    control::Desk,
    options::{Options, USAGE},
    outbox::Outbox,
    supervisor::{AfterEnd, FirstStart, Supervisor},
};
use crate::{not_begun, say};

/// Runs `devenv-agent init` with the arguments that follow these words.
pub(crate) fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    match Options::parse(arguments) {
        Ok(options) => match run(options) {
            Ok(code) => ExitCode::from(code),
            Err(error) => not_begun(&format!("cannot begin: {error}")),
        },
        Err(error) => not_begun(&format!("{error}; {USAGE}")),
    }
}

/// Runs the service; gives the container's exit code.
fn run(options: Options) -> io::Result<u8> {
    // Orphans come to the first process of a container anyway, whether this is allowed or not; to any other process
    // only if it asks for them.
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
    let (events, reported) = mpsc::channel();
    signals::watch(events.clone())?;
    let outbox = Outbox::default();
    let desk = Desk {
        events,
        outbox: outbox.clone(),
    };
    let control = control::listen(&options.socket, desk);
    if let Err(error) = &control {
        say(&error.to_string());
    }
    let first_start = match options.hold {
        // Nobody can release what takes no requests.
        Some(hold) if control.is_ok() => FirstStart::Held(hold),
        _ => FirstStart::AtOnce,
    };
    let after_end = match options.keep {
        Some(keep) if control.is_ok() => AfterEnd::Keep(keep),
        _ => AfterEnd::End,
    };
    let service = Service::new(options.program, options.arguments);
    let code = Supervisor::new(service, after_end).run(first_start, &reported);
    outbox.wait();
    Ok(code)
}
