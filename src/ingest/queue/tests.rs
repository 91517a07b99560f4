use bytes::Bytes;

use super::super::transport::{NotTaken, Qos, Subscription};
use super::*;
use crate::units::{SourceId, Timestamp};

/// A connection that notes what is acknowledged.
#[derive(Debug, Default)]
struct Noted(Mutex<Vec<u16>>);

impl Requests for Noted {
    fn subscribe(&self, _: &[Subscription]) -> Result<(), NotTaken> {
        Ok(())
    }
    fn publish(&self, _: &str, _: Bytes, _: Qos, _: bool) -> Result<(), NotTaken> {
        Ok(())
    }
    fn acknowledge(&self, packet_id: u16) -> Result<(), NotTaken> {
        self.0.lock().unwrap().push(packet_id);
        Ok(())
    }
    fn disconnect(&self) -> Result<(), NotTaken> {
        Ok(())
    }
}

fn queue(messages: usize, bytes: usize) -> (Queue, Arc<IngestStats>) {
    let stats = Arc::new(IngestStats::default());
    let settings = QueueSettings {
        messages,
        bytes,
        batch_messages: 4,
        linger: Duration::ZERO,
    };
    (Queue::new(settings, Arc::clone(&stats)), stats)
}

fn arrival(number: i64, owed: Option<(Arc<dyn Requests>, u16)>) -> Arrival {
    Arrival {
        message: RawMessage {
            received_at: Timestamp::from_millis(number),
            source: SourceId(0),
            topic: Arc::from("roadcast/v1/vehicle/1/probe/up"),
            payload: Bytes::from_static(b"0123456789"),
        },
        owed,
    }
}

fn numbers(received: Received) -> Vec<i64> {
    match received {
        Received::Batch(batch) => batch
            .messages
            .iter()
            .map(|message| message.received_at.as_millis())
            .collect(),
        other => panic!("expected a batch, got {other:?}"),
    }
}

#[test]
fn at_qos_0_the_oldest_are_dropped_and_counted() {
    for (messages, bytes) in [(6, 1000), (1000, 60)] {
        let (queue, stats) = queue(messages, bytes);
        queue.push(&mut (0..10).map(|n| arrival(n, None)).collect());
        assert_eq!(stats.dropped(RejectReason::QueueFull), 4);
        assert_eq!(stats.queued.load(Ordering::Relaxed), 6);
        assert_eq!(numbers(queue.take(Duration::ZERO)), [4, 5, 6, 7]);
        assert_eq!(numbers(queue.take(Duration::ZERO)), [8, 9]);
        assert!(matches!(queue.take(Duration::ZERO), Received::Idle));
        assert_eq!(stats.received.load(Ordering::Relaxed), 10);
        assert_eq!(stats.handed_over.load(Ordering::Relaxed), 6);
    }
}

#[test]
fn both_qualities_come_out_in_order_of_arrival_with_their_debts() {
    let (queue, stats) = queue(100, 1000);
    let (first, second) = (Arc::new(Noted::default()), Arc::new(Noted::default()));
    let owe = |to: &Arc<Noted>, id| Some((Arc::clone(to) as Arc<dyn Requests>, id));
    queue.push(&mut vec![
        arrival(0, owe(&first, 7)),
        arrival(1, None),
        arrival(2, owe(&first, 8)),
        arrival(3, owe(&second, 7)),
    ]);
    let Received::Batch(batch) = queue.take(Duration::ZERO) else {
        panic!("no batch");
    };
    let order: Vec<_> = batch
        .messages
        .iter()
        .map(|m| m.received_at.as_millis())
        .collect();
    assert_eq!(order, [0, 1, 2, 3]);
    assert_eq!(batch.ack.message_count(), 3);
    batch.ack.acknowledge();
    assert_eq!(*first.0.lock().unwrap(), [7, 8]);
    assert_eq!(*second.0.lock().unwrap(), [7]);
    assert_eq!(stats.acknowledged.load(Ordering::Relaxed), 3);
}

#[test]
fn at_qos_1_a_full_queue_waits_and_drops_nothing() {
    let (queue, stats) = queue(2, 1000);
    let connection: Arc<dyn Requests> = Arc::new(Noted::default());
    queue.push(
        &mut (0..5)
            .map(|n| arrival(n, Some((Arc::clone(&connection), n as u16))))
            .collect(),
    );
    assert!(!queue.has_room());
    assert_eq!(numbers(queue.take(Duration::ZERO)), [0, 1, 2, 3]);
    assert!(queue.has_room());
    assert_eq!(stats.drops().total(), 0);
}

#[test]
fn what_came_before_the_stop_is_still_handed_over() {
    let (queue, _) = queue(100, 1000);
    queue.push(&mut vec![arrival(0, None)]);
    queue.stop();
    queue.push(&mut vec![arrival(1, None)]);
    assert_eq!(numbers(queue.take(Duration::ZERO)), [0]);
    assert!(matches!(queue.take(Duration::ZERO), Received::Idle));
    queue.close();
    assert!(matches!(
        queue.take(Duration::from_secs(60)),
        Received::Closed
    ));
}
