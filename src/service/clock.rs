//! The service's clock: the system's, or one that follows event time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::ingest::Clock;
use crate::units::Timestamp;

/// What time it is for the engine.
#[derive(Clone, Debug)]
pub struct ServiceClock {
    /// Event time in milliseconds; `None` where the system's clock counts.
    event_ms: Option<Arc<AtomicI64>>,
    wall: Clock,
}

impl ServiceClock {
    /// The system's clock.
    pub fn wall() -> Self {
        Self {
            event_ms: None,
            wall: Clock::wall(),
        }
    }

    /// A clock that follows the newest observation, from `begin_at` or zero.
    pub fn event(begin_at: Option<Timestamp>) -> Self {
        let begin = begin_at.map_or(0, Timestamp::as_millis);
        Self {
            event_ms: Some(Arc::new(AtomicI64::new(begin))),
            wall: Clock::wall(),
        }
    }

    /// Whether time follows events.
    pub fn follows_events(&self) -> bool {
        self.event_ms.is_some()
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        match &self.event_ms {
            Some(event_ms) => Timestamp::from_millis(event_ms.load(Ordering::Relaxed)),
            None => self.wall.now(),
        }
    }

    /// The system's time, for what waits for devices and not for events.
    pub fn wall_now(&self) -> Timestamp {
        self.wall.now()
    }

    /// Moves an event clock on to `time`; it never goes back. Does nothing to the system's clock.
    pub fn advance_to(&self, time: Timestamp) {
        if let Some(event_ms) = &self.event_ms {
            event_ms.fetch_max(time.as_millis(), Ordering::Relaxed);
        }
    }

    /// The clock that stamps received messages.
    pub fn for_ingest(&self) -> Clock {
        let clock = self.clone();
        Clock::new(move || clock.now())
    }
}
