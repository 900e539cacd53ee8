//! Who hears what the live loop does.

use std::sync::Arc;

use jiff::Timestamp;

use crate::{
    domain::ServiceName,
    report::{LiveEvent, LiveWhat, Standing, StandingState},
};

/// Hears what the live loop does. Both return at once.
pub trait Hear: Send + Sync {
    /// Something happened.
    fn event(&self, event: LiveEvent);
    /// How it stands with a service now, in place of what was said before.
    fn standing(&self, service: &ServiceName, standing: Standing);
}

/// One who hears, shared by all parts of the loop. Cheap to clone.
#[derive(Clone)]
pub struct Audience(Arc<dyn Hear>);

impl std::fmt::Debug for Audience {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Audience").finish_non_exhaustive()
    }
}

impl Audience {
    /// The audience that is one.
    pub fn new(hear: impl Hear + 'static) -> Self {
        Self(Arc::new(hear))
    }

    /// Tells what happened now, to one service or to all.
    pub(super) fn tell(&self, service: Option<&ServiceName>, what: LiveWhat) {
        self.0.event(LiveEvent {
            at: Timestamp::now(),
            service: service.map(ToString::to_string),
            what,
        });
    }

    pub(super) fn standing(&self, service: &ServiceName, containers: usize, state: StandingState) {
        let containers = u32::try_from(containers).unwrap_or(u32::MAX);
        self.0.standing(service, Standing { containers, state });
    }

    pub(super) fn inform(&self, service: Option<&ServiceName>, text: impl Into<String>) {
        self.notice(service, false, text.into());
    }

    pub(super) fn warn(&self, service: Option<&ServiceName>, text: impl Into<String>) {
        self.notice(service, true, text.into());
    }

    fn notice(&self, service: Option<&ServiceName>, is_warning: bool, text: String) {
        self.tell(service, LiveWhat::Notice { is_warning, text });
    }
}
