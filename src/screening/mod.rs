//! Plausibility of one source: duplicates, rate caps, implausible jumps, pseudonyms.
