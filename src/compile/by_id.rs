//! How are thousands of nodes kept, to be found by their ids?
//!
//! [`ById`] is what a map would be, in less room: the things lie side by side, in the order of their ids, and each id is
//! there once.

use std::borrow::Borrow;
use std::ops::Index;

use super::node_id::NodeId;

/// Something that has an id.
pub trait Known {
    /// The id.
    fn id(&self) -> &NodeId;
}

/// Things by their ids, which are all different.
#[derive(Clone, Debug)]
pub struct ById<T>(Vec<T>);

impl<T> Default for ById<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Known> From<Vec<T>> for ById<T> {
    /// Of things with the same id the first is kept.
    fn from(mut all: Vec<T>) -> Self {
        // The things are large: each is moved once.
        all.sort_by_cached_key(|one| one.id().clone());
        all.dedup_by(|later, first| later.id() == first.id());
        Self(all)
    }
}

impl<T: Known> ById<T> {
    fn find<Q: Ord + ?Sized>(&self, id: &Q) -> Option<usize>
    where
        NodeId: Borrow<Q>,
    {
        self.0.binary_search_by(|one| Borrow::<Q>::borrow(one.id()).cmp(id)).ok()
    }

    /// The thing of this id.
    pub fn get<Q: Ord + ?Sized>(&self, id: &Q) -> Option<&T>
    where
        NodeId: Borrow<Q>,
    {
        self.find(id).map(|at| &self.0[at])
    }

    /// Whether there is one of this id.
    pub fn contains_key<Q: Ord + ?Sized>(&self, id: &Q) -> bool
    where
        NodeId: Borrow<Q>,
    {
        self.find(id).is_some()
    }

    /// The ids, in order.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &NodeId> + DoubleEndedIterator + Clone {
        self.0.iter().map(T::id)
    }

    /// The things, in the order of their ids.
    pub fn values(&self) -> std::slice::Iter<'_, T> {
        self.0.iter()
    }

    /// The same, each with its id.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&NodeId, &T)> + DoubleEndedIterator + Clone {
        self.0.iter().map(|one| (one.id(), one))
    }

    /// Puts a thing in the place of the one that has its id, if there is one.
    pub fn replace(&mut self, thing: T) {
        if let Some(at) = self.find(thing.id()) {
            self.0[at] = thing;
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T: Known> Index<&NodeId> for ById<T> {
    type Output = T;

    /// # Panics
    /// If there is none of this id.
    fn index(&self, id: &NodeId) -> &T {
        self.get(id).expect("the id is one of these")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, PartialEq)]
    struct Thing(NodeId, u8);

    impl Known for Thing {
        fn id(&self) -> &NodeId {
            &self.0
        }
    }

    #[test]
    fn things_are_found_by_their_ids_and_the_first_of_two_is_kept() {
        let thing = |id: &str, n| Thing(NodeId::new(id), n);
        let all = ById::from(vec![thing("b", 1), thing("c", 2), thing("a", 3), thing("b", 4)]);
        assert_eq!(all.values().map(|one| one.1).collect::<Vec<_>>(), [3, 1, 2]);
        assert_eq!((all.get("b").unwrap().1, all.get("d"), all.len()), (1, None, 3));
        assert!(all.contains_key(&NodeId::new("c")) && !ById::<Thing>::default().contains_key("c"));
    }
}
