//! What the outputs of a service remember over a restart: the advice in force, and under which
//! topics advice stands at the broker. It is part of the snapshot, as JSON.

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::sink::ServiceSink;
use crate::publish::format::{GuidanceMessage, TopicEntry, guidance_entry, guidance_of};

/// Version of the layout.
const VERSION: u32 = 1;

#[derive(Debug, Deserialize, Serialize)]
struct Memory {
    version: u32,
    guidance: Vec<GuidanceMessage>,
    topics: Vec<TopicEntry>,
}

/// Appends the memory of `sink`.
pub(super) fn snapshot(sink: &ServiceSink, out: &mut Vec<u8>) {
    let entry = |guidance| guidance_entry(&sink.network, guidance);
    let memory = Memory {
        version: VERSION,
        guidance: sink
            .active
            .values()
            .map(|guidance| entry(guidance))
            .collect(),
        topics: (sink.mqtt.as_ref()).map_or(Vec::new(), |mqtt| mqtt.guidance_topics()),
    };
    out.extend(serde_json::to_vec(&memory).expect("strings and finite numbers are valid JSON"));
}

/// Takes back what [`snapshot`] wrote.
pub(super) fn restore(sink: &mut ServiceSink, bytes: &[u8]) -> anyhow::Result<()> {
    let memory: Memory = serde_json::from_slice(bytes).context("the outputs' memory")?;
    anyhow::ensure!(
        memory.version == VERSION,
        "the outputs' memory has version {}, {VERSION} expected",
        memory.version
    );
    for message in &memory.guidance {
        let guidance = guidance_of(&sink.network, message)
            .with_context(|| format!("the outputs' memory of advice {}", message.id))?;
        // The rule may have become stricter meanwhile.
        let released = sink.release.guidance(&guidance);
        if !released.withdrawn {
            sink.active.insert(released.id, released);
        }
    }
    if let Some(mqtt) = &mut sink.mqtt {
        mqtt.recall_topics(memory.topics);
    }
    Ok(())
}
