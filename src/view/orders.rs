//! An exploration as a page: the tree of orders, in which equal subtrees are shown once, and the
//! outcomes. The page has no code.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::html::{escape, framed};
use super::order_tree::{Node, Tree};
use crate::explore::{self, Exploration, OrderGroup, Orders};
use crate::report::show::{count, grouped};

/// The maximum number of outcomes in the table; the others are counted.
const MOST_ROWS: usize = 2_000;

/// The maximum number of lines of a tree; a larger one is not shown.
const MOST_LINES: usize = 20_000;

const STYLE: &str = concat!(include_str!("page/base.css"), include_str!("sheet.css"));

/// The page of one exploration of a scenario, or of one for each server that its update can begin
/// at.
pub fn orders_page(explorations: &[Exploration]) -> String {
    let title = explorations.first().map_or("", |first| &first.title);
    let mut body = String::from("<main>\n");
    for (number, exploration) in (1..).zip(explorations) {
        Page {
            number,
            exploration,
            points: BTreeMap::new(),
        }
        .write(&mut body);
    }
    body.push_str("</main>\n");
    framed(&format!("Orders of: {title}"), STYLE, &body)
}

struct Page<'a> {
    /// The number of the exploration on the page, from 1.
    number: usize,
    exploration: &'a Exploration,
    /// By node: the number of a point that was already shown.
    points: BTreeMap<usize, usize>,
}

impl Page<'_> {
    fn write(mut self, body: &mut String) {
        let exploration = self.exploration;
        let counts = &exploration.counts;
        let held = !exploration.is_broken() && counts.orders > 0 && !counts.interrupted;
        let class = if held { "held" } else { "broken" };
        let verdict = escape(&explore::verdict(exploration));
        let report = escape(&explore::text(exploration));
        let _ = writeln!(
            body,
            "<section><h2 class=\"verdict-line {class}\">{verdict}</h2>\n\
             <details><summary>the report</summary><pre>{report}</pre></details>"
        );
        if let Some(orders) = &exploration.orders {
            body.push_str("<h3>The tree of orders</h3>\n");
            match self.tree(orders) {
                Ok(tree) => self.show(body, orders, &tree),
                Err(why) => {
                    let _ = writeln!(body, "<p>There is no tree: {why}.</p>");
                }
            }
            self.table(body, orders);
        }
        body.push_str("</section>\n");
    }

    /// The tree, or why it is not shown.
    fn tree(&self, orders: &Orders) -> Result<Tree, &'static str> {
        if !self.exploration.complete {
            return Err("not all orders were run, and it would look as if they were");
        }
        if !orders.are_all_kept() {
            return Err("there are too many orders; a bound or --reduce makes them fewer");
        }
        let tree = Tree::of(orders).ok_or("there are no orders, or they are too long")?;
        if tree.size() > MOST_LINES {
            return Err("it would be too large");
        }
        Ok(tree)
    }

    fn show(&mut self, body: &mut String, orders: &Orders, tree: &Tree) {
        let reduced = if self.exploration.reduced {
            " One order stands for all that differ only in turns of what commutes."
        } else {
            ""
        };
        let _ = writeln!(
            body,
            "<p class=\"quiet\">From top to bottom: what can happen next. Where the same follows different beginnings, in all that any \
             server is told, it is shown once, as a point with a number.{reduced}</p>"
        );
        // The root is a list with one line for each first choice.
        let Node::Point(next) = &tree.nodes[tree.root] else {
            let _ = writeln!(body, "<p>There is nothing to choose.</p>");
            return;
        };
        body.push_str("<div class=\"tree\"><ul>\n");
        for (choice, follows) in next {
            self.line(body, orders, tree, (*choice, *follows));
        }
        body.push_str("</ul></div>\n");
    }

    fn line(&mut self, body: &mut String, orders: &Orders, tree: &Tree, step: (usize, usize)) {
        let (choices, node) = tree.follow(step.0, step.1);
        let choices = escape(&words(orders, &choices));
        let number = self.number;
        let next = match &tree.nodes[node] {
            Node::End { came, broken } => {
                let end = self.end(*came, *broken, &orders.came[*came]);
                let _ = writeln!(body, "<li><code>{choices}</code> {end}</li>");
                return;
            }
            Node::Point(next) => next,
        };
        if let Some(point) = self.points.get(&node) {
            let _ = writeln!(
                body,
                "<li><code>{choices}</code> goes on as <a href=\"#e{number}-p{point}\">point {point}</a></li>"
            );
            return;
        }
        let point = self.points.len() + 1;
        self.points.insert(node, point);
        let (ways, beginnings) = (tree.ways[node], tree.beginnings[node]);
        let all = count(ways * beginnings, "order");
        let shared = if beginnings == 1 {
            String::new()
        } else {
            let (beginnings, ways) = (grouped(beginnings), grouped(ways));
            format!(": {beginnings} beginnings go on the same {ways} ways")
        };
        // The first point is unfolded, so that the tree is visible at once.
        let open = if point == 1 { " open" } else { "" };
        let _ = writeln!(
            body,
            "<li><details id=\"e{number}-p{point}\"{open}><summary><code>{choices}</code> point {point}, {all}{shared}</summary>\n<ul>"
        );
        for step in next {
            self.line(body, orders, tree, *step);
        }
        body.push_str("</ul></details></li>\n");
    }

    fn end(&self, came: usize, broken: bool, outcome: &OrderGroup) -> String {
        let (number, outcome_number) = (self.number, came + 1);
        let broken = if broken {
            "<b class=\"bad\">FAILED</b> "
        } else {
            ""
        };
        format!(
            "{broken}<a href=\"#e{number}-o{outcome_number}\">outcome {outcome_number}</a>, {}: {}",
            count(outcome.orders, "order"),
            self.hops(outcome)
        )
    }

    /// The hops of each update to each server, in words.
    fn hops(&self, came: &OrderGroup) -> String {
        let updates = came.hops.iter().zip(&self.exploration.updates);
        let told = updates.map(|((name, hops), range)| {
            let servers = range.servers.iter().zip(hops).map(|(server, hops)| {
                let hops = hops.map_or("never".to_owned(), |hops| hops.to_string());
                format!("{} {hops}", server.server)
            });
            let servers: Vec<String> = servers.collect();
            format!("{name} in hops {}", servers.join(", "))
        });
        let told: Vec<String> = told.collect();
        escape(&told.join("; "))
    }

    fn table(&self, body: &mut String, orders: &Orders) {
        let number = self.number;
        let _ = writeln!(
            body,
            "<h3>{}</h3>\n<p class=\"quiet\">Two are the same if no server could tell them apart.</p>\n\
             <div class=\"scroll wide\" role=\"region\" tabindex=\"0\" aria-label=\"What came of the orders\"><table>\n\
             <thead><tr><th scope=\"col\">outcome</th><th scope=\"col\" class=\"num\">orders</th><th scope=\"col\">how each update came</th>\
             <th scope=\"col\">one such order</th></tr></thead>\n<tbody>",
            count(self.exploration.outcomes, "outcome")
        );
        for (outcome, came) in (1..).zip(orders.came.iter().take(MOST_ROWS)) {
            let broken = match came.broken {
                0 => String::new(),
                some => format!(" <b class=\"bad\">FAILED</b> in {}", count(some, "order")),
            };
            let _ = writeln!(
                body,
                "<tr id=\"e{number}-o{outcome}\"><th scope=\"row\" data-label=\"outcome\">{outcome}</th>\
                 <td class=\"num\" data-label=\"orders\">{}</td><td>{}{broken}</td><td data-label=\"one such order\"><code>{}</code></td></tr>",
                grouped(came.orders),
                self.hops(came),
                escape(&words(orders, &came.first))
            );
        }
        body.push_str("</tbody></table></div>\n");
        let shown = orders.came.len().min(MOST_ROWS);
        if let more @ 1.. = self.exploration.outcomes.saturating_sub(shown) {
            let _ = writeln!(
                body,
                "<p>{} more are not shown.</p>",
                count(more, "outcome")
            );
        }
    }
}

fn words(orders: &Orders, choices: &[usize]) -> String {
    let words = choices
        .iter()
        .filter_map(|choice| orders.words.get(*choice));
    let words: Vec<&str> = words.map(String::as_str).collect();
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;
    use std::sync::LazyLock;

    use super::*;
    use crate::explore::{KeptOrder, Options, explore};
    use crate::scenario::Scenario;

    const CROSSING: &str = "title = \"Two updates cross in a ring\"\n\
        herd = { name = \"ring\", servers = [\"A\", \"B\", \"C\"], links = [\"A-B\", \"B-C\", \"A-C\"] }\nsteps = [\n\
        { at = \"1s\", client = \"kiwi\", to = \"A\", send = \"IAMAT kiwi +1+1 {now}\", reply = \"AT A *\" },\n\
        { at = \"1s\", client = \"kiwi\", to = \"C\", send = \"IAMAT kiwi +2+2 {now}\", reply = \"AT C *\" },\n]\n\
        [[expect]]\nupdate = \"kiwi#1\"\nreaches = \"all\"\n";

    fn explored(options: &Options) -> Exploration {
        let (scenario, _) = Scenario::parse("crossing.toml", CROSSING, None).unwrap();
        explore(&scenario, options).unwrap()
    }

    fn kept(keep: usize, threads: usize) -> Options {
        Options {
            keep,
            threads: NonZeroUsize::new(threads).unwrap(),
            ..Options::default()
        }
    }

    /// The exploration of every order.
    static ALL: LazyLock<Exploration> = LazyLock::new(|| explored(&kept(2_000, 1)));

    /// The exploration with partial-order reduction: 36 orders, each with a different outcome.
    fn reduced(keep: usize, threads: usize) -> Exploration {
        explored(&Options {
            reduce: true,
            ..kept(keep, threads)
        })
    }

    /// Collects every path through a tree.
    fn ways(tree: &Tree, node: usize, before: &mut Vec<usize>, found: &mut Vec<KeptOrder>) {
        match &tree.nodes[node] {
            Node::End { came, broken } => found.push(KeptOrder {
                choices: before.clone(),
                came: *came,
                broken: *broken,
            }),
            Node::Point(next) => {
                for (choice, follows) in next {
                    before.push(*choice);
                    ways(tree, *follows, before, found);
                    before.pop();
                }
            }
        }
    }

    #[test]
    fn a_tree_has_every_order_once_and_what_goes_on_the_same_way_once() {
        let orders = ALL.orders.as_ref().unwrap();
        let tree = Tree::of(orders).unwrap();
        let mut found = Vec::new();
        ways(&tree, tree.root, &mut Vec::new(), &mut found);
        let mut all = orders.all.clone();
        all.sort_by(|one, other| one.choices.cmp(&other.choices));
        assert_eq!((found.len(), tree.ways[tree.root]), (1_473, 1_473));
        assert_eq!(found, all);
        let mut nodes = tree.nodes.clone();
        nodes.sort();
        nodes.dedup();
        assert_eq!(nodes.len(), tree.nodes.len());
        // The numbers of beginnings that lead to ends add up to the number of orders.
        let ends = (0..nodes.len()).filter(|node| matches!(tree.nodes[*node], Node::End { .. }));
        let led: usize = ends.map(|node| tree.beginnings[node]).sum();
        assert_eq!(led, 1_473);
    }

    #[test]
    fn the_page_counts_as_the_exploration_does_whatever_the_threads() {
        let one = &*ALL;
        let page = orders_page(std::slice::from_ref(one));
        assert!(page.contains(&explore::verdict(one)), "{page}");
        let rows = page.split("<tr id=\"e1-o").skip(1);
        let count = |row: &str| {
            let (_, cell) = row.split_once("data-label=\"orders\">").unwrap();
            cell.split('<').next().unwrap().parse::<usize>().unwrap()
        };
        let counts: Vec<usize> = rows.map(count).collect();
        assert_eq!(counts.len(), one.outcomes);
        assert_eq!(counts.iter().sum::<usize>(), one.counts.orders);
        let orders = one.orders.as_ref().unwrap();
        let broken: usize = orders.came.iter().map(|came| came.broken).sum();
        assert_eq!(
            broken,
            one.broken.iter().map(|kind| kind.orders).sum::<usize>()
        );
        assert!(broken > 0 && page.contains("<b class=\"bad\">FAILED</b> <a href=\"#e1-o"));
        // Every reference has exactly one target.
        let ids: Vec<&str> = page
            .split(" id=\"")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
            .collect();
        for link in page
            .split("href=\"#")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
        {
            assert_eq!(ids.iter().filter(|id| **id == link).count(), 1, "{link}");
        }
        assert!(page.contains("goes on as <a href"));
        let by = |threads| orders_page(&[reduced(2_000, threads)]);
        assert!(by(1) == by(2) && by(1).contains("point 1, 36 orders"));
    }

    #[test]
    fn what_is_not_all_has_no_tree_and_says_so() {
        let few = Options {
            budget: 50,
            ..kept(2_000, 1)
        };
        let page = orders_page(&[explored(&few)]);
        assert!(
            page.contains("There is no tree: not all orders were run"),
            "{page}"
        );
        let page = orders_page(&[reduced(35, 1)]);
        assert!(
            page.contains("There is no tree: there are too many orders"),
            "{page}"
        );
        assert_eq!(page.matches("<tr id=\"e1-o").count(), 35);
        // Outcomes beyond the maximum are counted.
        let page = orders_page(&[reduced(30, 1)]);
        assert!(page.contains("6 outcomes more are not shown"), "{page}");
        assert!(explored(&Options { keep: 0, ..few }).orders.is_none());
    }

    #[test]
    fn names_are_text() {
        let hostile = "<script>alert(1)</script>\"'&";
        let mut explored = reduced(2_000, 1);
        hostile.clone_into(&mut explored.title);
        hostile.clone_into(&mut explored.scenario);
        hostile.clone_into(&mut explored.updates[0].servers[0].server);
        let orders = explored.orders.as_mut().unwrap();
        hostile.clone_into(&mut orders.words[0]);
        hostile.clone_into(&mut orders.came[0].hops[0].0);
        let page = orders_page(&[explored]);
        assert!(!page.contains("<script") && page.contains("&lt;script&gt;"));
    }
}
