//! Accounts and sessions that could be real: what their fields hold follows from their numbers.

use countersign::model::{
    Account, AccountId, AccountState, Email, PasswordHash, Role, Session, SessionId, Timestamp,
    Transport,
    clock::{from_millis, later},
    session::Chain,
};
use jiff::SignedDuration;

const NAMES: [&str; 16] = [
    "anna", "bjorn", "chiara", "dmitri", "elif", "femke", "goran", "hanna", "ivo", "jana", "kofi",
    "lucia", "marek", "nadia", "olu", "petra",
];
const HOSTS: [&str; 5] = ["example.com", "mail.example", "example.org", "post.example", "web.test"];

pub(crate) struct People {
    pub(crate) accounts: u64,
    each: u64,
    now: i64,
    span: i64,
}

impl People {
    pub(crate) fn new(accounts: u64, each: u64, now: i64, span: i64) -> Self {
        Self { accounts, each, now, span }
    }

    pub(crate) fn sessions(&self) -> u64 {
        self.accounts * self.each
    }

    /// How far the sessions of one account are apart in number.
    pub(crate) fn step(&self) -> usize {
        usize::try_from(self.accounts).unwrap()
    }

    pub(crate) fn now(&self) -> Timestamp {
        from_millis(self.now)
    }

    pub(crate) fn account(&self, number: u64) -> Account {
        let chance = mixed(number);
        let created_at = self.now - 31_536_000_000 + i64::try_from(number).unwrap();
        let name = NAMES[index(chance, 16)];
        let host = HOSTS[index(chance >> 8, 5)];
        let salt = format!("{:022x}", u128::from(mixed(chance)));
        let hash =
            format!("{:016x}{:016x}{:011x}", mixed(chance ^ 1), mixed(chance ^ 2), chance >> 20);
        Account {
            id: AccountId::from_bytes(id(created_at, chance)),
            email: Email::parse(&format!("{name}.{number:06}@{host}")).unwrap(),
            password: PasswordHash::new(format!("$argon2id$v=19$m=19456,t=2,p=1${salt}${hash}")),
            state: AccountState::Active,
            role: Role::Member,
            created_at: from_millis(created_at),
            copied_at: None,
        }
    }

    /// Whose session it is: in each round every account logs in once.
    pub(crate) fn owner(&self, number: u64) -> u64 {
        number % self.accounts
    }

    /// The accounts in an order that has nothing to do with that of their ids.
    pub(crate) fn shuffled(&self, place: u64) -> u64 {
        // A large prime: no number of accounts has it as a factor.
        place * 2_654_435_761 % self.accounts
    }

    pub(crate) fn session(&self, number: u64) -> Session {
        let total = i64::try_from(self.sessions()).unwrap();
        let place = i64::try_from(number).unwrap();
        let created_at = self.now - self.span + self.span * place / total;
        let account = self.account(self.owner(number));
        let mut session = self.log_in(&account, from_millis(created_at), number);
        // Half of them were used since.
        let chance = mixed(number ^ 0xACE);
        if chance.is_multiple_of(2) {
            session.visits = 1 + (chance >> 8) % 40;
            let rest = u64::try_from(self.now - created_at).unwrap() + 1;
            let seen = from_millis(created_at + i64::try_from((chance >> 16) % rest).unwrap());
            session.use_at(seen, SignedDuration::from_hours(24 * 14));
            let number = session.visits - 1;
            let left_at = from_millis(created_at.midpoint(seen.as_millisecond()));
            session.chain = Chain { number, at: seen, left: number / 2, left_at };
        }
        session
    }

    /// A log-in with "stay logged in": idle sessions stay.
    #[expect(clippy::unused_self, reason = "asked like the rest")]
    pub(crate) fn log_in(&self, account: &Account, now: Timestamp, number: u64) -> Session {
        Session {
            account: account.id,
            id: SessionId::from_bytes(id(now.as_millisecond(), mixed(!number))),
            created_at: now,
            expires_at: later(now, SignedDuration::from_hours(24 * 30)),
            idle_expires_at: later(now, SignedDuration::from_hours(24 * 14)),
            last_seen_at: now,
            visits: 0,
            chain: Chain::begun(now),
            remember: true,
            transport: Transport::Cookie,
            user_agent: user_agent(mixed(number ^ 0xBEE)),
            copied_at: None,
        }
    }
}

/// A UUIDv7 of that moment.
fn id(millis: i64, chance: u64) -> [u8; 16] {
    let time = u128::try_from(millis).unwrap() << 80;
    let random = u128::from(chance) << 16 | u128::from(mixed(chance) & 0xFFFF);
    let clear = !(0xF << 76 | 0x3 << 62);
    ((time | random & ((1 << 80) - 1)) & clear | 0x7 << 76 | 0x2 << 62).to_be_bytes()
}

/// What browsers call themselves, in about the shares of 2026.
fn user_agent(chance: u64) -> String {
    let version = 120 + index(chance >> 32, 24);
    let minor = index(chance >> 40, 7);
    let chrome = |system: &str, mobile: &str| {
        format!(
            "Mozilla/5.0 ({system}) AppleWebKit/537.36 (KHTML, like Gecko) \
             Chrome/{version}.0.0.0{mobile} Safari/537.36"
        )
    };
    match chance % 100 {
        0..30 => chrome("Windows NT 10.0; Win64; x64", ""),
        30..55 => chrome("Linux; Android 10; K", " Mobile"),
        55..63 => chrome("Macintosh; Intel Mac OS X 10_15_7", ""),
        63..66 => chrome("X11; Linux x86_64", ""),
        66..72 => chrome("Windows NT 10.0; Win64; x64", "") + &format!(" Edg/{version}.0.0.0"),
        72..87 => format!(
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_{minor} like Mac OS X) AppleWebKit/605.1.15 \
             (KHTML, like Gecko) Version/18.{minor} Mobile/15E148 Safari/604.1"
        ),
        87..92 => format!(
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 \
             (KHTML, like Gecko) Version/18.{minor} Safari/605.1.15"
        ),
        92..95 => format!(
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:{version}.0) Gecko/20100101 \
             Firefox/{version}.0"
        ),
        95..97 => format!(
            "Mozilla/5.0 (Linux; Android 14; SM-S9{minor}1B) AppleWebKit/537.36 (KHTML, like Gecko) \
             SamsungBrowser/2{minor}.0 Chrome/{version}.0.0.0 Mobile Safari/537.36"
        ),
        // What no table knows.
        97..99 => {
            format!("Acme-Inventory-App/{version}.{minor} (build {}; warehouse)", chance >> 44)
        }
        _ => format!("python-requests/2.3{minor}.0"),
    }
}

fn index(chance: u64, below: u64) -> usize {
    usize::try_from(chance % below).unwrap()
}

/// Splitmix64: numbers in a row come out as if by chance.
fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
