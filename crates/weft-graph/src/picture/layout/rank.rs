//! Ranks: every arrow leads to a higher one, and none is longer than it must be.

use crate::picture::Edge;

/// A rank for each node. Edges that close a circle (groups of tasks may read each other) may lead
/// to a lower rank.
pub(super) fn ranks(n: usize, edges: &[Edge]) -> Vec<u32> {
    let mut readers: Vec<Vec<u32>> = vec![Vec::new(); n];
    let mut reads: Vec<Vec<u32>> = vec![Vec::new(); n];
    for edge in edges {
        if edge.from != edge.to {
            readers[edge.from as usize].push(edge.to);
            reads[edge.to as usize].push(edge.from);
        }
    }
    let order = order(&readers, &reads);
    let mut place = vec![0u32; n];
    for (i, &node) in order.iter().enumerate() {
        place[node as usize] = i as u32;
    }
    let forwards = |a: u32, b: u32| place[a as usize] < place[b as usize];

    let mut rank = vec![0u32; n];
    for &node in &order {
        let before = reads[node as usize].iter().filter(|&&r| forwards(r, node));
        rank[node as usize] = before.map(|&r| rank[r as usize] + 1).max().unwrap_or(0);
    }
    // What has more readers than inputs goes down towards them: that shortens more than it stretches.
    for &node in order.iter().rev() {
        let inputs = reads[node as usize].iter().filter(|&&r| forwards(r, node)).count();
        let after: Vec<u32> = readers[node as usize]
            .iter()
            .filter(|&&r| forwards(node, r))
            .map(|&r| rank[r as usize])
            .collect();
        if let Some(&nearest) = after.iter().min()
            && after.len() > inputs
        {
            rank[node as usize] = nearest - 1;
        }
    }
    rank
}

/// Nodes in an order that most edges follow: all of them, if there are no circles.
fn order(readers: &[Vec<u32>], reads: &[Vec<u32>]) -> Vec<u32> {
    let n = readers.len();
    let mut missing: Vec<u32> = reads.iter().map(|list| list.len() as u32).collect();
    let mut ready: std::collections::VecDeque<u32> =
        (0..n as u32).filter(|&v| missing[v as usize] == 0).collect();
    let mut done = vec![false; n];
    let mut order = Vec::with_capacity(n);
    let mut rest = 0..n as u32;
    loop {
        while let Some(node) = ready.pop_front() {
            if std::mem::replace(&mut done[node as usize], true) {
                continue;
            }
            order.push(node);
            for &reader in &readers[node as usize] {
                let count = &mut missing[reader as usize];
                *count = count.saturating_sub(1);
                if *count == 0 {
                    ready.push_back(reader);
                }
            }
        }
        // Only circles are left, if anything: cut one open at its first node.
        match rest.find(|&v| !done[v as usize]) {
            Some(node) => ready.push_back(node),
            None => return order,
        }
    }
}
