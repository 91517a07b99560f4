// Fetches from this server only: status once a second, the rest when it has changed.

const POLL_MS = 1000;
const TIMEOUT_MS = 10_000;

async function getJson(path) {
  const response = await fetch(path, { signal: AbortSignal.timeout(TIMEOUT_MS) });
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response.json();
}

/** A segment's state and forecast. */
export function getSegment(id) {
  return getJson(`/api/v1/segments/${id}`);
}

/**
 * Sends an operator's verdict on an incident, `confirm` or `dismiss`. Gives null where it is taken,
 * else the `status` (0 without an answer) and the `reason` that the server told, if any.
 */
export async function sendVerdict(id, verdict) {
  try {
    const response = await fetch(`/api/v1/incidents/${id}/order`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ verdict }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    if (response.ok) return null;
    const { error } = await response.json().catch(() => ({}));
    return { status: response.status, reason: error };
  } catch {
    return { status: 0 };
  }
}

/**
 * Polls for ever. `on` has `status`, `lost`, `network` and `minute`; the last gets state, forecast
 * (null before there is one), guidance, open incidents and scores (null before there are any) of one
 * view.
 */
export function follow(on) {
  let sequence = -1;
  let network = null;

  async function poll() {
    try {
      const status = await getJson("/api/v1/status");
      on.status(status);
      if (status.network && status.network !== network) {
        await on.network(await getJson("/api/v1/network"));
        network = status.network;
      }
      if (network && status.sequence !== sequence && status.state_end_ms !== null) {
        const [state, forecast, guidance, incidents, scores] = await Promise.all([
          getJson("/api/v1/state?format=compact"),
          status.forecast_issued_at_ms === null
            ? null
            : getJson("/api/v1/forecast?format=compact"),
          getJson("/api/v1/guidance"),
          getJson("/api/v1/incidents"),
          status.scores_until_ms === null ? null : getJson("/api/v1/scores"),
        ]);
        sequence = status.sequence;
        on.minute({ state, forecast, guidance, incidents, scores });
      }
    } catch (error) {
      on.lost(error);
    }
    setTimeout(poll, POLL_MS);
  }
  poll();
}
