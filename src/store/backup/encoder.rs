//! A backup, written piece by piece.

use sha2::{Digest as _, Sha256};

use super::{Counts, Entry, FORMAT, Header, MAX_PAYLOAD, WORDS, record};

/// Writes a backup into buffers that its caller empties. Without [`finish`](Self::finish) what
/// was written is no backup.
pub struct Encoder {
    sum: Sha256,
    counts: Counts,
}

impl Encoder {
    /// Begins one in `out`.
    #[must_use]
    pub fn begin(header: &Header, out: &mut Vec<u8>) -> Self {
        let mut encoder = Self { sum: Sha256::new(), counts: Counts::default() };
        let begin = out.len();
        out.extend_from_slice(WORDS);
        out.extend_from_slice(format!("{FORMAT}\n").as_bytes());
        frame(record::HEADER, &record::encode_header(header), out);
        encoder.sum.update(&out[begin..]);
        encoder
    }

    /// Adds an entry.
    pub fn add(&mut self, entry: &Entry, out: &mut Vec<u8>) {
        let begin = out.len();
        let (kind, payload) = record::encode(entry);
        frame(kind, &payload, out);
        self.sum.update(&out[begin..]);
        self.counts.add(entry);
    }

    /// Ends it. Returns what is in it.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Counts {
        let mut end = vec![record::END];
        end.extend_from_slice(&40_u32.to_be_bytes());
        end.extend_from_slice(&self.counts.entries.to_be_bytes());
        self.sum.update(&end);
        out.extend_from_slice(&end);
        out.extend_from_slice(&self.sum.finalize());
        self.counts
    }
}

fn frame(kind: u8, payload: &[u8], out: &mut Vec<u8>) {
    debug_assert!(payload.len() <= MAX_PAYLOAD, "values are bounded where they are made");
    let length = u32::try_from(payload.len()).expect("payloads are small");
    out.push(kind);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(payload);
}
