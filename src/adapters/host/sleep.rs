//! How long the machine was asleep.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// How long this machine has slept since it was started, as its kernel counts: of two clocks one stands still then.
pub fn slept_since_boot() -> Duration {
    // In this order: what passes between the two looks is no sleep.
    let awake = read(ClockId::Monotonic);
    read(ClockId::Boottime).saturating_sub(awake)
}

fn read(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let nanoseconds = u32::try_from(time.tv_nsec).unwrap_or_default();
    Duration::new(seconds, nanoseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_is_awake_does_not_sleep() {
        let before = slept_since_boot();
        let after = slept_since_boot();
        assert!(
            after.saturating_sub(before) < Duration::from_secs(1),
            "{before:?} {after:?}"
        );
    }
}
