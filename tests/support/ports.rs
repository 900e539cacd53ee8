//! Ports of this machine.

use std::{
    net::TcpListener,
    sync::atomic::{AtomicU16, Ordering},
};

/// Takes a port that nobody has. Who drops the listener can expect to find it free still: it is below those that the
/// system gives to whoever connects, and that k3d gives away by itself, and no two of a process are the same.
pub(crate) fn hold_port() -> TcpListener {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let offset = u16::try_from(std::process::id() % 10_000).expect("it is small");
    loop {
        let port = 20_000 + (offset + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
            return listener;
        }
    }
}
