//! Whether what was answered in parallel could have been answered one after the other.
//!
//! A history is *linearizable* (Herlihy and Wing, 1990) when each operation can be given one
//! moment between its call and its return at which it was done, so that a plain sequential store
//! would have answered the same. The search is that of Wing and Gong: it tries, as the next
//! operation, each one that nobody had to wait for. It gives up where it has been before: with
//! the same operations done and the same state reached (Lowe's improvement). Histories here are
//! short, a few operations wide and not cut up by account, so that operations on all accounts at
//! once may be among them.

use std::{collections::HashMap, fmt};

use crate::store_machine::{
    model::Model,
    operation::{Answer, Operation},
};

/// The most operations in one history: they are numbered by the bits of a word.
pub(super) const MOST: usize = 64;

/// One operation as it was seen from outside.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) task: usize,
    /// When it was called and when it returned, on a clock that all tasks share. No two moments
    /// are the same.
    pub(super) called: u64,
    pub(super) returned: u64,
    pub(super) operation: Operation,
    pub(super) answer: Answer,
}

/// A history that no order explains.
#[derive(Debug)]
pub(super) struct Unexplained {
    /// The longest order that explains as much of it as possible.
    explained: Vec<Event>,
    /// The rest, in the order of their calls.
    rest: Vec<Event>,
}

/// Looks for an order in which `model` gives the answers of `history`.
pub(super) fn explain(model: &Model, history: &[Event]) -> Result<(), Unexplained> {
    assert!(history.len() <= MOST, "a history is short");
    let mut search = Search { history, been: HashMap::new(), order: Vec::new(), best: Vec::new() };
    if search.go_on(model) {
        return Ok(());
    }
    let explained = search.best.iter().map(|index| history[*index].clone()).collect();
    let is_left = |index: &usize| !search.best.contains(index);
    let mut rest: Vec<_> =
        (0..history.len()).filter(is_left).map(|index| history[index].clone()).collect();
    rest.sort_by_key(|event| event.called);
    Err(Unexplained { explained, rest })
}

struct Search<'a> {
    history: &'a [Event],
    /// For each set of operations that was done, the states it led to.
    been: HashMap<u64, Vec<Model>>,
    /// What was done, in this order.
    order: Vec<usize>,
    /// The longest order so far.
    best: Vec<usize>,
}

impl Search<'_> {
    /// Whether the operations that are left can be done from here.
    fn go_on(&mut self, model: &Model) -> bool {
        let done = self.order.iter().fold(0, |done, index| done | 1_u64 << index);
        if self.order.len() == self.history.len() {
            return true;
        }
        let been = self.been.entry(done).or_default();
        if been.contains(model) {
            return false;
        }
        been.push(model.clone());
        if self.order.len() > self.best.len() {
            self.best.clone_from(&self.order);
        }
        for index in self.next(done) {
            let event = &self.history[index];
            let mut after = model.clone();
            if after.answer(&event.operation) == event.answer {
                self.order.push(index);
                if self.go_on(&after) {
                    return true;
                }
                self.order.pop();
            }
        }
        false
    }

    /// The operations that may be the next: those called before any other that is left returned.
    fn next(&self, done: u64) -> Vec<usize> {
        let left = || (0..self.history.len()).filter(|index| done & 1_u64 << index == 0);
        let first = left().map(|index| self.history[index].returned).min();
        left().filter(|index| Some(self.history[*index].called) < first).collect()
    }
}

impl fmt::Display for Unexplained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "in this order it could be:")?;
        self.explained.iter().try_for_each(|event| writeln!(f, "{event}"))?;
        writeln!(f, "but none of these can be the next:")?;
        self.rest.iter().try_for_each(|event| writeln!(f, "{event}"))
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { task, called, returned, operation, answer } = self;
        write!(f, "[{called:3} to {returned:3}] task {task}: {operation:?}\n    -> {answer:?}")
    }
}
