//! A many-to-many relation between two sets of integers, without an allocation for each pair.
//!
//! A pair is a *link* that stands in two doubly linked lists: that of its left member and that of its right
//! member. Adding and removing a pair costs a few writes whatever the length of the lists, and either
//! side can be walked. The first link of a member's list (its *head*, [`NIL`] if there is none) is kept by whoever
//! keeps the member, so that it lies beside what is read with it.
//!
//! ```text
//!            right 0    right 1
//!   left 0 ──● link 0 ──● link 2      head of left 0: 2, of right 1: 3
//!   left 1 ──● link 1 ──● link 3      (a new link comes first in both of its lists)
//! ```

pub(crate) const NIL: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Link {
    left: u32,
    right: u32,
    next_of_left: u32,
    prev_of_left: u32,
    next_of_right: u32,
    prev_of_right: u32,
}

#[derive(Debug)]
pub(crate) struct Links {
    links: Vec<Link>,
    /// Unused links, chained by `next_of_left`.
    free: u32,
    len: usize,
}

/// What [`Links::remove`] took out, and the heads to keep from now on, where they changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Removed {
    pub left: u32,
    pub right: u32,
    pub left_head: Option<u32>,
    pub right_head: Option<u32>,
}

impl Default for Links {
    fn default() -> Self {
        Links { links: Vec::new(), free: NIL, len: 0 }
    }
}

impl Links {
    pub fn len(&self) -> usize {
        self.len
    }

    /// Makes room for many pairs, exactly: one large graph should not cost twice its size. Few pairs grow the
    /// table as usual, or many small graphs would copy it each time.
    pub fn reserve(&mut self, additional: usize) {
        if additional > self.links.len() / 4 {
            self.links.reserve_exact(additional);
        }
    }

    /// Memory in use, in bytes.
    pub fn nbytes(&self) -> usize {
        self.links.capacity() * size_of::<Link>()
    }

    /// Adds a pair and returns its link, which is the head of both lists from now on.
    pub fn add(&mut self, left: u32, left_head: u32, right: u32, right_head: u32) -> u32 {
        let link = Link {
            left,
            right,
            next_of_left: left_head,
            prev_of_left: NIL,
            next_of_right: right_head,
            prev_of_right: NIL,
        };
        let at = if self.free == NIL {
            self.links.push(link);
            self.links.len() as u32 - 1
        } else {
            let at = self.free;
            self.free = self.links[at as usize].next_of_left;
            self.links[at as usize] = link;
            at
        };
        if left_head != NIL {
            self.links[left_head as usize].prev_of_left = at;
        }
        if right_head != NIL {
            self.links[right_head as usize].prev_of_right = at;
        }
        self.len += 1;
        at
    }

    pub fn remove(&mut self, at: u32) -> Removed {
        let link = self.links[at as usize];
        if link.next_of_left != NIL {
            self.links[link.next_of_left as usize].prev_of_left = link.prev_of_left;
        }
        if link.prev_of_left != NIL {
            self.links[link.prev_of_left as usize].next_of_left = link.next_of_left;
        }
        if link.next_of_right != NIL {
            self.links[link.next_of_right as usize].prev_of_right = link.prev_of_right;
        }
        if link.prev_of_right != NIL {
            self.links[link.prev_of_right as usize].next_of_right = link.next_of_right;
        }
        self.links[at as usize].next_of_left = self.free;
        self.free = at;
        self.len -= 1;
        Removed {
            left: link.left,
            right: link.right,
            left_head: (link.prev_of_left == NIL).then_some(link.next_of_left),
            right_head: (link.prev_of_right == NIL).then_some(link.next_of_right),
        }
    }

    pub fn left(&self, at: u32) -> u32 {
        self.links[at as usize].left
    }

    pub fn right(&self, at: u32) -> u32 {
        self.links[at as usize].right
    }

    pub fn next_of_left(&self, at: u32) -> u32 {
        self.links[at as usize].next_of_left
    }

    pub fn next_of_right(&self, at: u32) -> u32 {
        self.links[at as usize].next_of_right
    }

    /// The right members of a left member, by its head.
    pub fn rights(&self, left_head: u32) -> impl Iterator<Item = u32> + '_ {
        self.links_of_left(left_head).map(|at| self.links[at as usize].right)
    }

    /// The left members of a right member, by its head.
    pub fn lefts(&self, right_head: u32) -> impl Iterator<Item = u32> + '_ {
        self.links_of_right(right_head).map(|at| self.links[at as usize].left)
    }

    pub fn links_of_left(&self, head: u32) -> impl Iterator<Item = u32> + '_ {
        walk(head, |at| self.links[at as usize].next_of_left)
    }

    pub fn links_of_right(&self, head: u32) -> impl Iterator<Item = u32> + '_ {
        walk(head, |at| self.links[at as usize].next_of_right)
    }
}

fn walk(head: u32, next: impl Fn(u32) -> u32) -> impl Iterator<Item = u32> {
    let some = |at: u32| (at != NIL).then_some(at);
    std::iter::successors(some(head), move |&at| some(next(at)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Beside a plain set of pairs.
        #[test]
        fn links_are_a_relation(steps in prop::collection::vec((0u32..6, 0u32..6), 0..200)) {
            let mut links = Links::default();
            let (mut lefts, mut rights) = ([NIL; 6], [NIL; 6]);
            let mut pairs = BTreeSet::new();
            for (left, right) in steps {
                let found = links.links_of_left(lefts[left as usize]).find(|&at| links.right(at) == right);
                prop_assert_eq!(found.is_some(), pairs.contains(&(left, right)));
                if let Some(at) = found {
                    let removed = links.remove(at);
                    prop_assert_eq!((removed.left, removed.right), (left, right));
                    if let Some(head) = removed.left_head {
                        lefts[left as usize] = head;
                    }
                    if let Some(head) = removed.right_head {
                        rights[right as usize] = head;
                    }
                    pairs.remove(&(left, right));
                } else {
                    let at = links.add(left, lefts[left as usize], right, rights[right as usize]);
                    lefts[left as usize] = at;
                    rights[right as usize] = at;
                    pairs.insert((left, right));
                }
                prop_assert_eq!(links.len(), pairs.len());
                for left in 0..6 {
                    let ours: BTreeSet<u32> = links.rights(lefts[left as usize]).collect();
                    let theirs: BTreeSet<u32> = pairs.iter().filter(|p| p.0 == left).map(|p| p.1).collect();
                    prop_assert_eq!(ours, theirs);
                }
                for right in 0..6 {
                    let ours: BTreeSet<u32> = links.lefts(rights[right as usize]).collect();
                    let theirs: BTreeSet<u32> = pairs.iter().filter(|p| p.1 == right).map(|p| p.0).collect();
                    prop_assert_eq!(ours, theirs);
                }
            }
        }
    }
}
