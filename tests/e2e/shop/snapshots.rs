//! Orders go on while snapshots are made: each holds every order everywhere or nowhere.

#![expect(clippy::disallowed_methods, reason = "a test's own setting")]

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    time::{Duration, Instant},
};

use super::Shop;
use crate::say;

/// Who orders at the same time.
const BUYERS: usize = 3;
/// How many snapshots are made: more where somebody wants to be surer.
fn snapshots() -> usize {
    let wanted = std::env::var("DEVENV_SNAPSHOTS");
    wanted.map_or(4, |wanted| wanted.parse().unwrap())
}
const ORDERED_WITHIN: Duration = Duration::from_mins(1);
const PATIENCE: Duration = Duration::from_mins(1);

/// What buyers have come to.
#[derive(Default)]
struct Sales {
    is_over: AtomicBool,
    orders: AtomicU32,
}

/// The end of all sales once it is dropped: whoever fails while they go on would otherwise wait for the buyers for ever.
struct Closing<'a>(&'a Sales);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::Relaxed);
    }
}

impl Shop {
    /// An order is written to the database and counted in redis.
    pub(super) fn sells_while_snapshots_are_made(&self) {
        let json = "Content-Type: application/json";
        let stock = r#"{"quantity":1000000}"#;
        self.ask(&["-X", "PUT", "-H", json, "-d", stock], "/api/stock/mug");
        let sales = Sales::default();
        let names: Vec<String> = (0..snapshots())
            .map(|number| format!("sale-{number}"))
            .collect();
        std::thread::scope(|scope| {
            let _closing = Closing(&sales);
            for _ in 0..BUYERS {
                scope.spawn(|| self.buy(&sales));
            }
            for name in &names {
                // Between two of them something is sold.
                let sold = sales.orders.load(Ordering::Relaxed);
                let begun = Instant::now();
                while sales.orders.load(Ordering::Relaxed) == sold {
                    assert!(begun.elapsed() < PATIENCE, "nothing is sold");
                    std::thread::yield_now();
                }
                let saved = self
                    .project
                    .devenv(&["snapshot", "save", name, "-o", "json"]);
                let saved = saved.assert_code(0).json();
                say(&format!(
                    "           the services stood for {:.0} ms",
                    saved["stoodSeconds"].as_f64().unwrap() * 1000.0
                ));
            }
        });
        // The shop goes on where redis does not answer in time: what was never counted is missed by all snapshots after it.
        let lost = self.rows("orders") - self.counted();
        let (mut before, mut missed_before) = (0, 0);
        for name in &names {
            let restore = ["snapshot", "restore", name, "--yes"];
            self.project.devenv(&restore).assert_code(0);
            let (orders, counted) = (self.rows("orders"), self.counted());
            let missed = orders.checked_sub(counted);
            assert!(
                missed.is_some_and(|missed| (missed_before..=lost).contains(&missed)),
                "{name} holds half of an order: {orders} and {counted}, of which {lost} were never counted"
            );
            missed_before = missed.unwrap_or_default();
            assert!(
                orders > before,
                "{name} holds nothing new: {orders}, {before}"
            );
            before = orders;
            self.project
                .devenv(&["snapshot", "remove", name])
                .assert_code(0);
        }
        say(&format!(
            "           {} orders while {} snapshots were made; {lost} were never counted",
            sales.orders.load(Ordering::Relaxed),
            names.len()
        ));
    }

    /// How many orders redis knows of.
    fn counted(&self) -> u32 {
        let words = ["exec", "redis", "--", "redis-cli", "get", "orders:version"];
        let answer = self.project.devenv(&words).assert_code(0);
        answer.stdout.trim().parse().unwrap()
    }

    /// Orders again and again.
    fn buy(&self, sales: &Sales) {
        while !sales.is_over.load(Ordering::Relaxed) {
            if self
                .order()
                .is_some_and(|answer| answer.starts_with("HTTP/1.1 201"))
            {
                sales.orders.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// What the shop answers to an order; nothing if it does not.
    fn order(&self) -> Option<String> {
        let body = r#"{"userId":1,"items":[{"sku":"mug","quantity":1}]}"#;
        let mut stream = TcpStream::connect(("127.0.0.1", self.project.ports.http)).ok()?;
        stream.set_read_timeout(Some(ORDERED_WITHIN)).ok()?;
        let request = format!(
            "POST /api/orders HTTP/1.1\r\nHost: shop.localhost\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }
}
