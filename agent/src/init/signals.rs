//! The signals that the init is sent.

use std::{io, sync::mpsc::Sender, thread};

use rustix::process::Signal;
use signal_hook::iterator::Signals;

use super::supervisor::Event;

/// Passed on to the service. Those that report a fault of the init itself are not among them, nor those with which a
/// terminal stops what is in its background.
const FORWARDED: &[Signal] = &[
    Signal::HUP,
    Signal::INT,
    Signal::QUIT,
    Signal::USR1,
    Signal::USR2,
    Signal::ALARM,
    Signal::TERM,
    Signal::CONT,
    Signal::TSTP,
    Signal::URG,
    Signal::WINCH,
    Signal::IO,
    Signal::POWER,
];

/// Whether a signal asks a service to end: its end is then no failure to wait after.
pub(super) fn asks_to_end(signal: Signal) -> bool {
    [Signal::TERM, Signal::INT, Signal::QUIT].contains(&signal)
}

/// Takes all signals from now on and reports them, each in its turn; the end of children also.
pub(super) fn watch(events: Sender<Event>) -> io::Result<()> {
    let taken = FORWARDED.iter().chain([&Signal::CHILD]);
    let mut signals = Signals::new(taken.map(|signal| signal.as_raw()))?;
    let report = move || {
        for signal in signals.forever().filter_map(Signal::from_named_raw) {
            let event = match signal {
                Signal::CHILD => Event::ChildrenEnded,
                signal => Event::Signal(signal),
            };
            if events.send(event).is_err() {
                return;
            }
        }
    };
    let thread = thread::Builder::new().name("signals".to_owned());
    thread.spawn(report).map(drop)
}
