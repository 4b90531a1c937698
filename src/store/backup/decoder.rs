//! A backup, read piece by piece. What it gives out before its end was reached is not yet known to
//! be whole: [`Decoder::finish`] says so.

use sha2::{Digest as _, Sha256};

use super::{BackupError, Counts, Entry, FORMAT, FRAME_HEAD, Header, MAX_PAYLOAD, WORDS, record};

type Result<T, E = BackupError> = std::result::Result<T, E>;

/// The longest first line: the words, ten digits and a line break.
const MAX_FIRST_LINE: usize = WORDS.len() + 11;

/// The payload of the last frame: the count and the sum.
const END_BYTES: usize = 8 + 32;

/// Reads a backup from bytes that its caller brings.
pub struct Decoder {
    buffer: Vec<u8>,
    /// How much of the buffer was read.
    read: usize,
    stage: Stage,
    sum: Sha256,
    counts: Counts,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    FirstLine,
    Header,
    Entries,
    Over,
}

/// What is in a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "all but the first are entries")]
pub enum Item {
    /// First of all.
    Header(Header),
    /// Everything else.
    Entry(Entry),
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// A reader of one backup.
    #[must_use]
    pub fn new() -> Self {
        Self {
            buffer: Vec::new(),
            read: 0,
            stage: Stage::FirstLine,
            sum: Sha256::new(),
            counts: Counts::default(),
        }
    }

    /// Brings the next bytes. Read all that can be [read](Self::read) before the next ones.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.read);
        self.read = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next item; `None` when more bytes are needed, or there is nothing more.
    ///
    /// # Errors
    /// [`BackupError`]; then nothing of it can be trusted.
    pub fn read(&mut self) -> Result<Option<Item>> {
        if self.stage == Stage::FirstLine {
            if !self.first_line()? {
                return Ok(None);
            }
            self.stage = Stage::Header;
        }
        if self.stage == Stage::Over {
            return if self.buffer.len() == self.read {
                Ok(None)
            } else {
                Err(BackupError::Damaged("something follows its end"))
            };
        }
        let Some((kind, length)) = self.frame_head()? else {
            return Ok(None);
        };
        let begin = self.read;
        let payload = begin + FRAME_HEAD;
        let end = payload + length;
        if self.buffer.len() < end {
            return Ok(None);
        }
        self.read = end;
        if kind == record::END {
            self.end(begin)?;
            // Whatever follows is looked at at once.
            return self.read();
        }
        self.sum.update(&self.buffer[begin..end]);
        let payload = &self.buffer[payload..end];
        if self.stage == Stage::Header {
            if kind != record::HEADER {
                return Err(BackupError::Damaged("its beginning is missing"));
            }
            self.stage = Stage::Entries;
            return Ok(Some(Item::Header(record::decode_header(payload)?)));
        }
        let entry = record::decode(kind, payload)?;
        self.counts.add(&entry);
        Ok(Some(Item::Entry(entry)))
    }

    /// Says whether it was whole, once there are no more bytes.
    ///
    /// # Errors
    /// [`BackupError::Truncated`] or [`BackupError::Foreign`], if its end was not reached.
    pub fn finish(self) -> Result<Counts> {
        match self.stage {
            Stage::Over => Ok(self.counts),
            Stage::FirstLine if !is_beginning(&self.buffer) => Err(BackupError::Foreign),
            _ => Err(BackupError::Truncated),
        }
    }

    /// Reads the first line. Returns whether it is there.
    fn first_line(&mut self) -> Result<bool> {
        let Some(end) = self.buffer.iter().take(MAX_FIRST_LINE).position(|byte| *byte == b'\n')
        else {
            let endless = self.buffer.len() >= MAX_FIRST_LINE;
            return if endless || !is_beginning(&self.buffer) {
                Err(BackupError::Foreign)
            } else {
                Ok(false)
            };
        };
        let found = self.buffer[..end].strip_prefix(WORDS).and_then(|digits| {
            let digits = std::str::from_utf8(digits).ok()?;
            let found: u32 = digits.parse().ok()?;
            // One spelling: no sign, no zero in front.
            (found.to_string() == digits).then_some(found)
        });
        match found {
            Some(FORMAT) => {}
            Some(found) => return Err(BackupError::Version { found }),
            None => return Err(BackupError::Foreign),
        }
        self.read = end + 1;
        self.sum.update(&self.buffer[..self.read]);
        Ok(true)
    }

    /// The kind and the length of the next frame, if they are there.
    fn frame_head(&self) -> Result<Option<(u8, usize)>> {
        let Some((&[kind, a, b, c, d], _)) = self.buffer[self.read..].split_first_chunk() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        let fits = if kind == record::END { length == END_BYTES } else { length <= MAX_PAYLOAD };
        if !fits {
            return Err(BackupError::Damaged("the length of an entry"));
        }
        Ok(Some((kind, length)))
    }

    /// Checks the last frame, which begins at `begin`.
    fn end(&mut self, begin: usize) -> Result<()> {
        let sum_at = begin + FRAME_HEAD + 8;
        self.sum.update(&self.buffer[begin..sum_at]);
        if self.sum.clone().finalize()[..] != self.buffer[sum_at..self.read] {
            return Err(BackupError::Damaged("its checksum does not fit"));
        }
        if self.buffer[begin + FRAME_HEAD..sum_at] != self.counts.entries.to_be_bytes() {
            return Err(BackupError::Damaged("an entry is missing"));
        }
        if self.stage != Stage::Entries {
            return Err(BackupError::Damaged("its beginning is missing"));
        }
        self.stage = Stage::Over;
        Ok(())
    }
}

fn is_beginning(bytes: &[u8]) -> bool {
    let length = bytes.len().min(WORDS.len());
    bytes[..length] == WORDS[..length]
}

#[cfg(test)]
mod tests {
    use super::{
        super::{BackupKey, BackupRecord, Encoder},
        *,
    };
    use crate::model::{
        Account, AccountId, AccountState, Email, PasswordHash, Role, Session, SessionId, Transport,
        VisitDays, clock::from_millis, session::Chain,
    };

    fn header() -> Header {
        Header { created_at: from_millis(1_790_000_000_000), program: "0.1.0".to_owned() }
    }

    fn entries() -> Vec<Entry> {
        let account = AccountId::from_bytes([1; 16]);
        vec![
            Entry::Key(BackupKey {
                kid: "kid".to_owned(),
                json: b"{\"d\":\"geheim\"}".to_vec().into(),
            }),
            Entry::Record(BackupRecord::Account {
                account: Account {
                    id: account,
                    email: Email::parse("ann@example.com").unwrap(),
                    password: PasswordHash::new("$argon2id$geheim".to_owned()),
                    state: AccountState::Disabled,
                    role: Role::Admin,
                    created_at: from_millis(1),
                    copied_at: Some(from_millis(2)),
                },
                ended_visits: u64::MAX,
                ended_days: VisitDays::from_parts(20_718, &[3, 0, u32::MAX]).unwrap(),
            }),
            Entry::Record(BackupRecord::Epoch(7)),
            Entry::Record(BackupRecord::Variables {
                account,
                session: SessionId::from_bytes([2; 16]),
                variables: [("cart".to_owned(), b"[7]".to_vec())].into_iter().collect(),
            }),
            Entry::Record(BackupRecord::Session {
                session: Session {
                    account,
                    id: SessionId::from_bytes([2; 16]),
                    created_at: from_millis(3),
                    expires_at: from_millis(4),
                    idle_expires_at: from_millis(5),
                    last_seen_at: from_millis(6),
                    visits: 300,
                    chain: Chain {
                        number: 299,
                        at: from_millis(-1),
                        left: 298,
                        left_at: from_millis(-2),
                    },
                    remember: true,
                    transport: Transport::Bearer,
                    user_agent: "curl/8".to_owned(),
                    copied_at: None,
                },
                epoch: 7,
                days: VisitDays::from_parts(-1, &[300]).unwrap(),
            }),
        ]
    }

    fn written() -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = Encoder::begin(&header(), &mut bytes);
        for entry in entries() {
            encoder.add(&entry, &mut bytes);
        }
        encoder.finish(&mut bytes);
        bytes
    }

    /// Reads `bytes`, brought in pieces of `piece` bytes.
    fn read(bytes: &[u8], piece: usize) -> Result<(Vec<Item>, Counts)> {
        let mut decoder = Decoder::new();
        let mut items = Vec::new();
        for bytes in bytes.chunks(piece) {
            decoder.feed(bytes);
            while let Some(item) = decoder.read()? {
                items.push(item);
            }
        }
        Ok((items, decoder.finish()?))
    }

    #[test]
    fn what_was_written_is_read_however_it_comes() {
        let bytes = written();
        let expected: Vec<_> = std::iter::once(Item::Header(header()))
            .chain(entries().into_iter().map(Item::Entry))
            .collect();
        for piece in [1, 2, 7, 64, bytes.len()] {
            let (items, counts) = read(&bytes, piece).unwrap();
            assert_eq!(items, expected);
            assert_eq!(counts, Counts { accounts: 1, sessions: 1, keys: 1, entries: 5 });
        }
        let shown = format!("{:?}", entries());
        assert!(!shown.contains("geheim"), "{shown}");
    }

    #[test]
    fn a_backup_with_any_byte_changed_is_refused() {
        let good = written();
        for at in 0..good.len() {
            for change in [0x01, 0x02, 0x20, 0x80, 0xff] {
                let mut bad = good.clone();
                bad[at] ^= change;
                assert!(read(&bad, good.len()).is_err(), "byte {at} changed by {change:#x}");
            }
        }
    }

    #[test]
    fn a_backup_cut_anywhere_is_refused_and_so_is_one_with_more_behind_it() {
        let good = written();
        for length in 0..good.len() {
            for piece in [1, good.len()] {
                let error = read(&good[..length], piece).unwrap_err();
                assert_eq!(error, BackupError::Truncated, "{length} bytes");
            }
        }
        for more in [&b"\n"[..], b"\0", &good] {
            let longer = [&good, more].concat();
            for piece in [1, good.len(), longer.len()] {
                let error = read(&longer, piece).unwrap_err();
                assert_eq!(error, BackupError::Damaged("something follows its end"));
            }
        }
    }

    /// A frame that is whole, in a stream whose sum fits.
    fn with_frames(first_line: &[u8], frames: &[(u8, &[u8])], count: u64) -> Vec<u8> {
        let mut bytes = first_line.to_vec();
        for (kind, payload) in frames {
            bytes.push(*kind);
            bytes.extend_from_slice(&u32::try_from(payload.len()).unwrap().to_be_bytes());
            bytes.extend_from_slice(payload);
        }
        bytes.push(record::END);
        bytes.extend_from_slice(&40_u32.to_be_bytes());
        bytes.extend_from_slice(&count.to_be_bytes());
        let sum = Sha256::digest(&bytes);
        bytes.extend_from_slice(&sum);
        bytes
    }

    #[test]
    fn what_is_wrong_although_its_sum_fits_is_refused() {
        let header = record::encode_header(&header());
        let good: (u8, &[u8]) = (record::EPOCH, &[1, 7]);
        let first = (record::HEADER, header.as_slice());
        let line = b"countersign backup 1\n";
        assert!(read(&with_frames(line, &[first, good], 1), 9).is_ok());
        let longer = [header.as_slice(), &[0]].concat();
        for (frames, count, error) in [
            (vec![first, good], 2, BackupError::Damaged("an entry is missing")),
            (vec![first], 1, BackupError::Damaged("an entry is missing")),
            (vec![], 0, BackupError::Damaged("its beginning is missing")),
            (vec![good], 1, BackupError::Damaged("its beginning is missing")),
            (vec![first, first], 1, BackupError::Damaged("it begins twice")),
            (vec![(record::HEADER, &longer)], 0, BackupError::Damaged("an entry cannot be read")),
            (vec![first, (b'?', &[1])], 1, BackupError::Unknown),
            (vec![first, (record::EPOCH, &[2, 7])], 1, BackupError::Unknown),
            (vec![first, (record::EPOCH, &[])], 1, BackupError::Damaged("an entry is empty")),
            (
                vec![first, (record::ACCOUNT, &[1, 0])],
                1,
                BackupError::Damaged("an entry cannot be read"),
            ),
            (
                vec![first, (record::KEY, &[1; MAX_PAYLOAD + 1])],
                1,
                BackupError::Damaged("the length of an entry"),
            ),
        ] {
            assert_eq!(read(&with_frames(line, &frames, count), 9).unwrap_err(), error);
        }
    }

    #[test]
    fn another_file_is_told_from_a_later_format() {
        let header = record::encode_header(&header());
        let of = |line: &[u8]| {
            let bytes = with_frames(line, &[(record::HEADER, &header)], 0);
            let whole = read(&bytes, bytes.len()).unwrap_err();
            assert_eq!(read(&bytes, 1).unwrap_err(), whole);
            whole
        };
        for found in [0, 2, 99, u32::MAX] {
            let line = format!("countersign backup {found}\n");
            assert_eq!(of(line.as_bytes()), BackupError::Version { found });
        }
        for line in [
            "countersign backup 01\n",
            "countersign backup +1\n",
            "countersign backup 4294967296\n",
            "countersign backup 1 \n",
            "countersign backup \n",
            "countersign store 1\n",
            "Countersign backup 1\n",
            "\n",
            "countersign backup 11111111111111111111111111111111",
        ] {
            assert_eq!(of(line.as_bytes()), BackupError::Foreign, "{line}");
        }
        for foreign in [&b"PK\x03\x04"[..], b"c0", &[0; 10_000]] {
            assert_eq!(read(foreign, 7).unwrap_err(), BackupError::Foreign);
        }
    }
}
