//! Who hears what the live loop does.

use std::sync::Arc;

use jiff::Timestamp;

use crate::{
    domain::ServiceName,
    report::{LiveEvent, LiveWhat},
};

/// Takes every event of the live loop. Cheap to clone; must return at once.
#[derive(Clone)]
pub struct Audience(Arc<dyn Fn(LiveEvent) + Send + Sync>);

impl std::fmt::Debug for Audience {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Audience").finish_non_exhaustive()
    }
}

impl Audience {
    /// An audience that is told by calling `tell`.
    pub fn new(tell: impl Fn(LiveEvent) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }

    /// Tells what happened now, to one service or to all.
    pub(super) fn tell(&self, service: Option<&ServiceName>, what: LiveWhat) {
        (self.0)(LiveEvent {
            at: Timestamp::now(),
            service: service.map(ToString::to_string),
            what,
        });
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
