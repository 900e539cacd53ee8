//! Ctrl-C and its relatives: the first asks the command to stop, the second ends the program.

use std::{
    io::{self, Write},
    os::fd::AsFd,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::{adapters::process, domain::NoticeLevel, output::SHOW_CURSOR, report::Outbox};

/// Exit codes by the convention of shells: 128 and the signal's number.
const BY_INTERRUPT: u8 = 130;
const BY_TERMINATION: u8 = 143;
/// How long a command may take to stop before the user is told that there is a faster way.
const AT_ONCE: Duration = Duration::from_millis(200);

/// The exit code that a signal asks for; none came if it is 0.
#[derive(Debug, Clone, Default)]
pub(super) struct Interruption(Arc<AtomicU8>);

impl Interruption {
    /// The exit code of the signal that came, if one did.
    pub(super) fn exit_code(&self) -> Option<u8> {
        Some(self.0.load(Ordering::Relaxed)).filter(|code| *code != 0)
    }
}

/// The terminal as it was when the program started.
#[derive(Clone, Default)]
pub(super) struct TerminalState {
    modes: Option<Arc<Termios>>,
    stderr_is_terminal: bool,
}

impl TerminalState {
    /// Remembers the modes of the terminal on standard input.
    pub(super) fn remember() -> Self {
        Self {
            modes: tcgetattr(io::stdin().as_fd()).ok().map(Arc::new),
            stderr_is_terminal: io::IsTerminal::is_terminal(&io::stderr()),
        }
    }

    /// Puts modes and cursor back.
    pub(super) fn restore(&self) {
        // The terminal may be gone, and then nobody looks at it.
        if let Some(modes) = &self.modes {
            let _ = tcsetattr(io::stdin().as_fd(), OptionalActions::Now, modes);
        }
        if self.stderr_is_terminal {
            let _ = io::stderr().write_all(SHOW_CURSOR.as_bytes());
        }
    }
}

/// Listens until the runtime ends. Must be called within one.
pub(super) fn listen(
    cancel: CancellationToken,
    outbox: Outbox,
    terminal: TerminalState,
) -> io::Result<Interruption> {
    let interruption = Interruption::default();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let shared = interruption.clone();
    tokio::spawn(async move {
        loop {
            let code = tokio::select! {
                Some(()) = interrupt.recv() => BY_INTERRUPT,
                Some(()) = terminate.recv() => BY_TERMINATION,
                Some(()) = hang_up.recv() => BY_TERMINATION,
                else => return,
            };
            if shared.exit_code().is_some() {
                leave(code, &terminal);
            }
            shared.0.store(code, Ordering::Relaxed);
            cancel.cancel();
            tokio::spawn(say_how_to_stop_at_once(outbox.clone()));
        }
    });
    Ok(interruption)
}

/// Says nothing where the command ends at once, and waits for no slow reader: the next signal must be heard.
async fn say_how_to_stop_at_once(outbox: Outbox) {
    tokio::time::sleep(AT_ONCE).await;
    let text = "stopping; press Ctrl-C again to stop at once";
    outbox.notice(NoticeLevel::Info, text).await;
}

#[expect(clippy::exit, reason = "the user asked twice")]
fn leave(code: u8, terminal: &TerminalState) -> ! {
    process::kill_all();
    terminal.restore();
    std::process::exit(code.into())
}
