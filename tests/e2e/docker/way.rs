//! A way to a port of this machine on which a connection is broken off, once.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

/// Where connections to the port come in. It is there until the test ends.
pub(super) struct Way {
    pub(super) port: u16,
    broken: Arc<AtomicBool>,
}

impl Way {
    /// The connection in which the `after`th byte would go there breaks off; those that come later do not.
    pub(super) fn to(port: u16, after: usize) -> Self {
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
                    lead(&near, &far, |bytes| {
                        let all = gone.fetch_add(bytes, Ordering::SeqCst) + bytes;
                        all < after || broken.swap(true, Ordering::SeqCst)
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
    let mut buffer = vec![0; 64 * 1024];
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
