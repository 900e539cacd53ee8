//! A way to a port of this machine that is bad: a connection is broken off, or nothing goes fast.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

/// How much is led at once, in bytes.
const PIECE: usize = 64 * 1024;

/// Where connections to the port come in. It is there until the test ends.
pub(super) struct Way {
    pub(super) port: u16,
    broken: Arc<AtomicBool>,
}

/// What is bad about a way.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fault {
    /// The connection breaks off in which this byte would go there; those that come later do not.
    BreaksAfter(usize),
    /// What goes there waits this long for each [`PIECE`].
    Slow(Duration),
}

impl Way {
    pub(super) fn to(port: u16, fault: Fault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let way = Self {
            port: listener.local_addr().unwrap().port(),
            broken: Arc::default(),
        };
        let (broken, gone) = (Arc::clone(&way.broken), Arc::new(AtomicUsize::new(0)));
        std::thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let Ok(far) = TcpStream::connect(("127.0.0.1", port)) else {
                    continue;
                };
                let (broken, gone) = (Arc::clone(&broken), Arc::clone(&gone));
                let (near_too, far_too) = (near.try_clone().unwrap(), far.try_clone().unwrap());
                std::thread::spawn(move || lead(&far_too, &near_too, |_| true));
                std::thread::spawn(move || {
                    lead(&near, &far, |bytes| match fault {
                        Fault::BreaksAfter(after) => {
                            let all = gone.fetch_add(bytes, Ordering::SeqCst) + bytes;
                            all < after || broken.swap(true, Ordering::SeqCst)
                        }
                        Fault::Slow(pause) => {
                            std::thread::sleep(pause);
                            true
                        }
                    });
                });
            }
        });
        way
    }

    /// Whether it happened.
    pub(super) fn was_broken(&self) -> bool {
        self.broken.load(Ordering::SeqCst)
    }
}

/// Leads what comes from one to the other, as long as it may.
fn lead(mut from: &TcpStream, mut to: &TcpStream, may: impl Fn(usize) -> bool) {
    let mut buffer = vec![0; PIECE];
    while let Ok(bytes @ 1..) = from.read(&mut buffer) {
        if !may(bytes) || to.write_all(&buffer[..bytes]).is_err() {
            break;
        }
    }
    // Both ways, so that the other direction ends too.
    for end in [from, to] {
        let _ = end.shutdown(Shutdown::Both);
    }
}
