//! The state as Prometheus reads it: <https://prometheus.io/docs/instrumenting/exposition_formats/>.

use std::fmt::Write;

use crate::model::State;

/// One metric: its name, what it means, its type, and a value for each set of labels.
struct Metric<'a> {
    name: &'a str,
    help: &'a str,
    values: Vec<(Vec<(&'a str, &'a str)>, f64)>,
}

pub(crate) fn text(state: &State) -> String {
    let workers = |name, help, value: fn(&crate::model::Worker) -> f64| Metric {
        name,
        help,
        values: state.workers.iter().map(|w| (vec![("worker", &*w.name)], value(w))).collect(),
    };
    let total =
        |value: fn(&crate::model::Prefix) -> u64| state.prefixes.iter().map(value).sum::<u64>() as f64;
    let by_status = |status: &str| state.workers.iter().filter(|w| &*w.status == status).count() as f64;
    let metrics = [
        Metric {
            name: "weft_scheduler_clients",
            help: "Connected clients.",
            values: vec![(vec![], state.clients.len() as f64)],
        },
        Metric {
            name: "weft_scheduler_workers",
            help: "Connected workers by status.",
            values: ["running", "paused", "retiring"]
                .map(|status| (vec![("state", status)], by_status(status)))
                .into(),
        },
        Metric {
            name: "weft_scheduler_tasks",
            help: "Tasks by state.",
            values: vec![
                (vec![("state", "waiting")], total(|p| p.waiting)),
                (vec![("state", "queued")], total(|p| p.queued)),
                (vec![("state", "processing")], total(|p| p.processing)),
                (vec![("state", "memory")], total(|p| p.memory)),
                (vec![("state", "released")], total(|p| p.released)),
                (vec![("state", "erred")], total(|p| p.erred)),
            ],
        },
        Metric {
            name: "weft_scheduler_prefix_seconds",
            help: "Time spent in tasks by name.",
            values: state.prefixes.iter().map(|p| (vec![("prefix", &*p.name)], p.seconds)).collect(),
        },
        workers("weft_worker_threads", "Threads that run tasks.", |w| f64::from(w.nthreads)),
        workers("weft_worker_memory_bytes", "Memory of the process.", |w| w.memory as f64),
        workers("weft_worker_managed_bytes", "Results in memory.", |w| w.managed as f64),
        workers("weft_worker_spilled_bytes", "Results on disk.", |w| w.spilled as f64),
        workers("weft_worker_memory_limit_bytes", "Memory that it may use; 0: no limit.", |w| {
            w.memory_limit as f64
        }),
        workers("weft_worker_processing", "Tasks assigned.", |w| f64::from(w.processing)),
        workers("weft_worker_results", "Results held.", |w| f64::from(w.in_memory)),
        workers("weft_worker_cpu_percent", "Use of processors; 100 is one.", |w| f64::from(w.cpu_percent)),
    ];
    let mut out = String::new();
    for Metric { name, help, values } in metrics {
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} gauge");
        for (labels, value) in values {
            let labels: Vec<String> =
                labels.into_iter().map(|(label, text)| format!("{label}=\"{}\"", escaped(text))).collect();
            let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            let _ = writeln!(out, "{name}{labels} {value}");
        }
    }
    out
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Prefix, Worker};

    #[test]
    fn names_labels_and_values() {
        let state = State {
            workers: vec![Worker {
                name: "a \"b\"\n".into(),
                status: "paused".into(),
                memory: 7,
                ..Worker::default()
            }],
            prefixes: vec![
                Prefix { name: "inc".into(), memory: 2, seconds: 0.5, ..Prefix::default() },
                Prefix { name: "add".into(), memory: 1, ..Prefix::default() },
            ],
            ..State::default()
        };
        let text = text(&state);
        assert!(text.contains("weft_scheduler_workers{state=\"paused\"} 1\n"));
        assert!(text.contains("weft_scheduler_tasks{state=\"memory\"} 3\n"));
        assert!(text.contains("weft_scheduler_prefix_seconds{prefix=\"inc\"} 0.5\n"));
        assert!(text.contains("weft_worker_memory_bytes{worker=\"a \\\"b\\\"\\n\"} 7\n"));
        assert!(text.contains("weft_scheduler_clients 0\n"));
        let typed = text.lines().filter(|line| line.starts_with("# TYPE")).count();
        assert_eq!(typed, text.lines().filter(|line| line.starts_with("# HELP")).count());
    }
}
