//! Who is asked for forecasts: the running model, at once or on a thread with a deadline after which
//! the baseline speaks, and perhaps a shadow that nobody waits for.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};

use super::spawn;
use crate::forecast::{ForecastBatch, ForecastRequest, Forecaster, ProfileResidual};

/// The models of a run.
#[derive(Clone)]
pub struct Forecasters {
    /// The one that is published.
    pub running: Arc<dyn Forecaster>,
    /// One that is asked on the five-minute marks and scored, and never published.
    pub shadow: Option<Arc<dyn Forecaster>>,
}

impl std::fmt::Debug for Forecasters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Forecasters")
            .field("running", &self.running.name())
            .field("shadow", &self.shadow.as_ref().map(|shadow| shadow.name()))
            .finish()
    }
}

impl From<Arc<dyn Forecaster>> for Forecasters {
    fn from(running: Arc<dyn Forecaster>) -> Self {
        Self {
            running,
            shadow: None,
        }
    }
}

/// Asks them.
pub(super) struct Forecasts {
    forecasters: Forecasters,
    /// `None` where answers are waited for.
    threads: Option<Threads>,
}

struct Threads {
    deadline: Duration,
    running: ForecastThread,
    shadow: Option<ForecastThread>,
}

struct ForecastThread {
    requests: SyncSender<Arc<ForecastRequest>>,
    answers: Receiver<ForecastBatch>,
}

impl ForecastThread {
    fn start(name: &str, model: Arc<dyn Forecaster>) -> anyhow::Result<Self> {
        let (requests, inbox) = sync_channel::<Arc<ForecastRequest>>(1);
        let (outbox, answers) = sync_channel(2);
        spawn(name, move || {
            while let Ok(request) = inbox.recv() {
                if outbox.send(model.forecast(&request)).is_err() {
                    break;
                }
            }
        })
        .with_context(|| format!("starting {name}"))?;
        Ok(Self { requests, answers })
    }
}

impl Forecasts {
    /// Waits for answers, or, with a deadline, runs each model on a thread of its own.
    pub(super) fn new(
        forecasters: Forecasters,
        deadline: Option<Duration>,
    ) -> anyhow::Result<Self> {
        let threads = deadline.map(|deadline| {
            let shadow = forecasters.shadow.clone();
            anyhow::Ok(Threads {
                deadline,
                running: ForecastThread::start("forecast", forecasters.running.clone())?,
                shadow: shadow
                    .map(|shadow| ForecastThread::start("shadow", shadow))
                    .transpose()?,
            })
        });
        Ok(Self {
            threads: threads.transpose()?,
            forecasters,
        })
    }

    /// The answer to `request`: the model's, or the baseline's where the model is late.
    pub(super) fn answer(&self, request: &Arc<ForecastRequest>) -> anyhow::Result<ForecastBatch> {
        let Some(threads) = &self.threads else {
            return Ok(self.forecasters.running.forecast(request));
        };
        let worker = &threads.running;
        let issued_at = request.issued_at;
        // A worker still busy with an earlier request is late for this one too.
        if worker.requests.try_send(request.clone()).is_ok() {
            let until = Instant::now() + threads.deadline;
            loop {
                let left = until.saturating_duration_since(Instant::now());
                match worker.answers.recv_timeout(left) {
                    Ok(answer) if answer.issued_at == issued_at => return Ok(answer),
                    Ok(_stale) => {}
                    Err(RecvTimeoutError::Timeout) => break,
                    Err(RecvTimeoutError::Disconnected) => {
                        return Err(anyhow!("the forecast thread has ended"));
                    }
                }
            }
        }
        let mut answer = ProfileResidual.forecast(request);
        answer.fallback = true;
        Ok(answer)
    }

    /// What the shadow has said: to `request` where it is waited for, otherwise to an earlier one.
    /// It is asked on the five-minute marks alone, which are those that are scored, and not while it
    /// is busy.
    pub(super) fn shadow(&self, request: &Arc<ForecastRequest>) -> Option<ForecastBatch> {
        let is_mark = request.issued_at == request.first_step;
        let Some(threads) = &self.threads else {
            let shadow = self.forecasters.shadow.as_ref().filter(|_| is_mark)?;
            return Some(shadow.forecast(request));
        };
        let worker = threads.shadow.as_ref()?;
        let newest = worker.answers.try_iter().last();
        if is_mark {
            // A full queue, or a thread that has ended: the shadow is not scored.
            worker.requests.try_send(request.clone()).ok();
        }
        newest
    }
}
