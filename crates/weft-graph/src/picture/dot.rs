//! DOT, the language of Graphviz, for those who want another renderer.

use std::fmt::Write;

use super::Picture;

pub(super) fn write(picture: &Picture) -> String {
    let mut out = String::from("digraph {\n");
    let rankdir = ("rankdir".to_owned(), picture.direction.rankdir().to_owned());
    let mut graph = vec![rankdir];
    if let Some(caption) = &picture.caption {
        graph.push(("label".to_owned(), caption.clone()));
    }
    graph.extend(picture.graph_attributes.iter().filter(|(name, _)| name != "rankdir").cloned());
    let mut nodes = vec![("fontname".to_owned(), "helvetica".to_owned())];
    nodes.extend(picture.node_attributes.iter().cloned());
    for (what, attributes) in [("graph", &graph), ("node", &nodes), ("edge", &picture.edge_attributes)] {
        if !attributes.is_empty() {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "\t{what} [{}]", list(attributes.iter()));
        }
    }
    for node in &picture.nodes {
        let shape = ("shape".to_owned(), node.shape.name().to_owned());
        let label = ("label".to_owned(), node.label.clone());
        let rest = node.attributes.iter().filter(|(name, _)| name != "shape" && name != "label");
        let _ = writeln!(out, "\t{} [{}]", quote(&node.id), list([&label, &shape].into_iter().chain(rest)));
    }
    for edge in &picture.edges {
        let id = |node: u32| quote(&picture.nodes[node as usize].id);
        let _ = writeln!(out, "\t{} -> {}", id(edge.from), id(edge.to));
    }
    out.push_str("}\n");
    out
}

fn list<'a>(attributes: impl Iterator<Item = &'a (String, String)>) -> String {
    attributes.map(|(name, value)| format!("{}={}", quote(name), quote(value))).collect::<Vec<_>>().join(" ")
}

/// As an ID of the language: bare if it is a plain word or number, else in quotes.
fn quote(text: &str) -> String {
    let word = !text.is_empty()
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let number = !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    let reserved = ["node", "edge", "graph", "digraph", "subgraph", "strict"];
    if (word || number) && !reserved.contains(&text.to_ascii_lowercase().as_str()) {
        return text.to_owned();
    }
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}
