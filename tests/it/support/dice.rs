//! Chance that can be repeated: all of a run follows from its seed.

/// xorshift64*. Not for secrets.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    /// The dice of this seed. What follows from two seeds has nothing in common.
    pub(crate) fn new(seed: u64) -> Self {
        // The state must not be zero, and small seeds are too much alike.
        let mut dice = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        dice.roll(2);
        dice
    }

    /// The dice of the seed in this variable, or of a new one. It is printed, to be repeated.
    pub(crate) fn of(variable: &str) -> Self {
        let seed = number(variable).unwrap_or_else(|| {
            let random = uuid::Uuid::new_v4().as_u128();
            u64::try_from(random & 0xffff_ffff).unwrap()
        });
        println!("{variable}={seed}");
        Self::new(seed)
    }

    /// A number below `sides`, which is not zero.
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % sides
    }

    /// One of `some`, unless there is none.
    pub(crate) fn pick<T>(&mut self, some: impl ExactSizeIterator<Item = T>) -> Option<T> {
        let mut some = some;
        let sides = u64::try_from(some.len()).unwrap();
        if sides == 0 {
            return None;
        }
        some.nth(usize::try_from(self.roll(sides)).unwrap())
    }

    /// Other dice that follow from these: for a task of its own.
    pub(crate) fn split(&mut self) -> Self {
        let seed = self.roll(1 << 31);
        Self::new(seed)
    }
}

/// The number in an environment variable.
pub(crate) fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().expect("a number"))
}
