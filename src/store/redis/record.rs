//! A session as it is kept in Redis and answered: one value of `MessagePack` behind the other, in the
//! order in which `closed` in `common.lua` writes them. One string instead of an array of fifteen
//! parts: to answer those took Redis three microseconds, and as long again to read them here.

use rmp::decode;

use super::codec::other;
use crate::{
    model::{
        AccountId, Session, SessionId, Timestamp, Transport, VisitDays, clock::from_millis,
        session::Chain,
    },
    store::{
        Result, StoreError,
        records::{self, SessionRecord},
    },
};

/// The session that the bytes are, to the last of them.
pub(super) fn decode(account: AccountId, id: SessionId, bytes: &[u8]) -> Result<SessionRecord> {
    let mut rest = Values(bytes);
    let epoch = rest.count()?;
    let created = rest.number()?;
    // All other moments are counted from that one.
    let [expires, idle_expires, last_seen] = [rest.number()?, rest.number()?, rest.number()?];
    let after = |millis: i64| from_millis(created.saturating_add(millis));
    let session = Session {
        account,
        id,
        created_at: from_millis(created),
        expires_at: after(expires),
        idle_expires_at: after(idle_expires),
        last_seen_at: after(last_seen),
        visits: rest.count()?,
        chain: Chain {
            number: rest.count()?,
            at: after(rest.number()?),
            left: rest.count()?,
            left_at: after(rest.number()?),
        },
        remember: rest.number()? == 1,
        transport: match rest.number()? {
            0 => Transport::Cookie,
            1 => Transport::Bearer,
            _ => return Err(damaged()),
        },
        user_agent: records::whole_user_agent(rest.bytes()?)?,
        copied_at: rest.moment_if_any()?,
    };
    let days = rest.days()?;
    if rest.0.is_empty() { Ok(SessionRecord { session, epoch, days }) } else { Err(damaged()) }
}

fn damaged() -> StoreError {
    other("session")
}

/// Values that were not read yet.
struct Values<'a>(&'a [u8]);

impl<'a> Values<'a> {
    fn number(&mut self) -> Result<i64> {
        decode::read_int(&mut self.0).map_err(|_| damaged())
    }

    /// One that is not below zero.
    fn count(&mut self) -> Result<u64> {
        decode::read_int(&mut self.0).map_err(|_| damaged())
    }

    fn bytes(&mut self) -> Result<&'a [u8]> {
        let length = decode::read_str_len(&mut self.0).map_err(|_| damaged())?;
        let length = usize::try_from(length).map_err(|_| damaged())?;
        let (bytes, rest) = self.0.split_at_checked(length).ok_or_else(damaged)?;
        self.0 = rest;
        Ok(bytes)
    }

    /// A moment, or false.
    fn moment_if_any(&mut self) -> Result<Option<Timestamp>> {
        let mut ahead = self.0;
        if decode::read_bool(&mut ahead).is_ok_and(|it| !it) {
            self.0 = ahead;
            return Ok(None);
        }
        self.number().map(|millis| Some(from_millis(millis)))
    }

    /// Visits by the day: the latest one, its visits, and those of the days before it as a string.
    fn days(&mut self) -> Result<VisitDays> {
        let latest = i32::try_from(self.number()?).map_err(|_| damaged())?;
        let mut counts = vec![self.count()?];
        let mut earlier = Values(self.bytes()?);
        if counts == [0] {
            counts.clear();
        }
        while !earlier.0.is_empty() {
            counts.push(earlier.count()?);
        }
        let counts: Vec<_> =
            counts.into_iter().map(|count| u32::try_from(count).unwrap_or(u32::MAX)).collect();
        VisitDays::from_parts(latest, &counts).ok_or_else(damaged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `cmsgpack` makes of `0, 1790000000000, 43200000, 1801000, 1000, 1537, 0, 1000, 0, 0, 1, 0,
    /// "Lynx", COPIED, 20717, 300, EARLIER`.
    fn kept(copied: &[u8], earlier: &[u8]) -> Vec<u8> {
        let mut bytes =
            b"\x00\xcf\x00\x00\x01\xa0\xc4Pl\x00\xce\x02\x93.\x00\xce\x00\x1b{(".to_vec();
        bytes.extend(b"\xcd\x03\xe8\xcd\x06\x01\x00\xcd\x03\xe8\x00\x00\x01\x00\xa4Lynx");
        bytes.extend([copied, b"\xcdP\xed\xcd\x01\x2c", earlier].concat());
        bytes
    }

    fn read(bytes: &[u8]) -> Result<SessionRecord> {
        decode(AccountId::from_bytes([1; 16]), SessionId::from_bytes([2; 16]), bytes)
    }

    #[test]
    fn a_session_is_what_lua_wrote() {
        let login = 1_790_000_000_000;
        let SessionRecord { session, epoch, days } = read(&kept(b"\xc2", b"\xa0")).unwrap();
        assert_eq!(session.created_at, from_millis(login));
        assert_eq!(session.expires_at, from_millis(login + 43_200_000));
        assert_eq!(session.idle_expires_at, from_millis(login + 1_801_000));
        assert_eq!(session.last_seen_at, from_millis(login + 1_000));
        let at = from_millis(login + 1_000);
        let chain = Chain { number: 0, at, left: 0, left_at: from_millis(login) };
        assert_eq!((session.visits, session.chain, epoch), (1537, chain, 0));
        assert_eq!((session.remember, session.transport), (true, Transport::Cookie));
        assert_eq!((session.user_agent.as_str(), session.copied_at), ("Lynx", None));
        assert_eq!(days, VisitDays::from_parts(20_717, &[300]).unwrap());

        // -1 milliseconds; two visits the day before the day before.
        let other = read(&kept(b"\xff", b"\xa2\x00\x02")).unwrap();
        assert_eq!(other.session.copied_at, Some(from_millis(-1)));
        assert_eq!(other.days, VisitDays::from_parts(20_717, &[300, 0, 2]).unwrap());
    }

    #[test]
    fn what_is_no_session_to_the_last_byte_is_damaged() {
        let good = kept(b"\xc2", b"\xa2\x00\x02");
        for length in 0..good.len() {
            assert!(read(&good[..length]).is_err(), "{length} bytes of it");
        }
        assert!(read(&[&good[..], b"\x00"].concat()).is_err(), "one byte more");
        for (copied, earlier) in
            [(b"\xc3", b"\xa0" as &[u8]), (b"\xc2", b"\xa1\xc2"), (b"\xc2", b"\xa1\x00")]
        {
            let error = read(&kept(copied, earlier)).unwrap_err();
            assert!(matches!(error, StoreError::Damaged { kind: "session", .. }), "{error}");
        }
    }
}
