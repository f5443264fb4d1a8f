//! What is remembered under a name that nobody guesses (tokens, codes, requests): the newest of a
//! bounded number.

use std::collections::HashMap;
use std::collections::VecDeque;

#[derive(Debug)]
pub(crate) struct BoundedMap<T> {
    items: HashMap<String, T>,
    /// The oldest first, to forget them beyond `MOST`.
    order: VecDeque<String>,
}

impl<T> Default for BoundedMap<T> {
    fn default() -> Self {
        Self {
            items: HashMap::new(),
            order: VecDeque::new(),
        }
    }
}

impl<T> BoundedMap<T> {
    pub(crate) fn insert(&mut self, name: String, item: T) {
        if self.items.insert(name.clone(), item).is_none() {
            self.order.push_back(name);
        }
        if self.order.len() > MOST
            && let Some(oldest) = self.order.pop_front()
        {
            drop(self.items.remove(&oldest));
        }
    }

    pub(crate) fn find(&self, name: &str) -> Option<&T> {
        self.items.get(name)
    }

    pub(crate) fn find_mut(&mut self, name: &str) -> Option<&mut T> {
        self.items.get_mut(name)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.items.values_mut()
    }
}

/// BoundedMap of a kind: a relay that asks for a token with each message still finds its last ones
/// good.
const MOST: usize = 10_000;
