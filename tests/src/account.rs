//! Written against stored: the account that decides whether anything was lost or kept twice.
//! Pure: two lists of event ids in, four numbers out.

use std::{collections::HashMap, fmt};

/// What became of the events that were written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Events in the ground truth.
    pub written: usize,
    /// Of those, found in the store.
    pub stored: usize,
    /// Written and not found.
    pub lost: Vec<String>,
    /// Found more than once.
    pub twice: Vec<String>,
    /// Found and never written.
    pub foreign: Vec<String>,
}

impl Account {
    /// Compares the ids that were written with those that were read back.
    #[must_use]
    pub fn new<'a>(
        written: impl IntoIterator<Item = &'a str>,
        stored: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let mut copies: HashMap<&str, usize> = HashMap::new();
        for id in written {
            copies.entry(id).or_default();
        }
        let mut account = Self { written: copies.len(), ..Self::default() };
        for id in stored {
            match copies.get_mut(id) {
                Some(count) => *count += 1,
                None => account.foreign.push(id.to_owned()),
            }
        }
        account.stored = copies.values().filter(|count| **count > 0).count();
        account.lost = ids(&copies, |count| count == 0);
        account.twice = ids(&copies, |count| count > 1);
        account
    }

    /// Something was written, all of it is stored, all of it once, and nothing else.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.written > 0 && self.lost.is_empty() && self.twice.is_empty() && self.foreign.is_empty()
    }
}

fn ids(copies: &HashMap<&str, usize>, wanted: impl Fn(usize) -> bool) -> Vec<String> {
    let chosen = copies.iter().filter(|(_, count)| wanted(**count));
    let mut ids: Vec<_> = chosen.map(|(id, _)| (*id).to_owned()).collect();
    ids.sort();
    ids
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { written, stored, lost, twice, foreign } = self;
        write!(
            f,
            "written {written}, stored {stored}, lost {}, twice {}",
            lost.len(),
            twice.len()
        )?;
        if !foreign.is_empty() {
            write!(f, ", never written {}", foreign.len())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_clean_when_each_event_is_there_once() {
        let account = Account::new(["a", "b"], ["b", "a"]);
        assert!(account.is_clean());
        assert_eq!(account.to_string(), "written 2, stored 2, lost 0, twice 0");
    }

    #[test]
    fn what_is_lost_twice_or_foreign_is_named() {
        let account = Account::new(["a", "b", "c"], ["b", "b", "c", "x"]);
        assert!(!account.is_clean());
        assert_eq!(account.to_string(), "written 3, stored 2, lost 1, twice 1, never written 1");
        assert_eq!(
            (account.lost, account.twice, account.foreign),
            (vec!["a".to_owned()], vec!["b".to_owned()], vec!["x".to_owned()])
        );
    }

    #[test]
    fn an_account_of_nothing_is_not_clean() {
        assert!(!Account::new([], []).is_clean());
    }
}
