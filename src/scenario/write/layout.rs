//! A changed scenario in the layout of the file that it came from: what did not change keeps its text, with its
//! comments.

use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Item, RawString, Table, Value};

use crate::scenario::{Expect, PlacesTable, Scenario, Step};

/// The lists of a file. Everything else at its top level is one value.
const LISTS: [&str; 3] = ["steps", "expect", "places"];

impl Scenario {
    /// The scenario as a file that differs from its own source, which [`Scenario::source`] is, only in what differs.
    /// What was drawn, or comes from a source that is not TOML, is written as [`to_toml`](Self::to_toml) writes it.
    pub fn to_toml_in_layout_of(&self, original: &Self) -> String {
        let plain = self.to_toml();
        let laid_out = laid_out(original, &plain);
        // Whatever the layout is, the file says what the scenario is.
        let says_the_same = |text: &String| {
            let read = Self::parse_over(&self.herd, "written.toml", text);
            read.is_ok_and(|(read, _)| read.to_toml() == plain)
        };
        laid_out.filter(says_the_same).unwrap_or(plain)
    }
}

/// The file `plain` in the layout of the source of `original`; none if that is not TOML.
fn laid_out(original: &Scenario, plain: &str) -> Option<String> {
    // A case is written as a file of its own, which no file looks like.
    if original.case.is_some() {
        return None;
    }
    let source = &original.source;
    // As the file says it, whatever seed or mixture of faults was chosen since.
    let (base, _) = Scenario::parse_over(&original.herd, &source.name, &source.text).ok()?;
    let before: DocumentMut = base.to_toml().parse().ok()?;
    let after: DocumentMut = plain.parse().ok()?;
    let mut file: DocumentMut = source.text.parse().ok()?;
    let orders = [
        order(&base.steps, |step: &Step| step.span.start),
        order(&base.expects, |expect: &Expect| expect.span.start),
        order(&base.places, |table: &PlacesTable| table.span.start),
    ];
    for (name, order) in LISTS.into_iter().zip(orders) {
        let lists = [&before, &after].map(|document| elements(document.get(name)));
        let written = elements(file.get(name));
        if order.len() != written.len() {
            return None;
        }
        let [before, after] = lists;
        let list = merged(&before, &after, &written, &order);
        put(&mut file, name, list);
    }
    let names = |document: &DocumentMut| -> Vec<String> {
        let names = document.iter().map(|(name, _)| name.to_owned());
        names
            .filter(|name| !LISTS.contains(&name.as_str()))
            .collect()
    };
    // A new field comes behind the one that it follows where everything is written anew.
    let mut order = names(&file);
    let mut behind = 0;
    for name in names(&after) {
        if let Some(at) = order.iter().position(|other| *other == name) {
            behind = at + 1;
        } else {
            order.insert(behind, name.clone());
            behind += 1;
        }
        let (old, new) = (before.get(&name), after.get(&name)?);
        // A herd's file is found from the place of this one, which may be another now.
        let is_elsewhere = name == "herd" && !original.herd.is_builtin();
        let is_same = old.is_some_and(|old| text(old) == text(new)) && !is_elsewhere;
        if !is_same {
            replace(&mut file, &name, new.clone());
        }
    }
    for name in names(&before) {
        if after.get(&name).is_none() {
            file.remove(&name);
        }
    }
    let place = |name: &str| order.iter().position(|other| other == name);
    file.sort_values_by(|a, _, b, _| {
        let places = (place(a.get()), place(b.get()));
        // Lists and tables stay behind the values.
        (places.0.is_none(), places.0).cmp(&(places.1.is_none(), places.1))
    });
    Some(file.to_string())
}

/// For each element by its time, its place in the file, counted from 0.
fn order<T>(elements: &[T], start: impl Fn(&T) -> usize) -> Vec<usize> {
    let mut starts: Vec<usize> = elements.iter().map(&start).collect();
    starts.sort_unstable();
    let places = elements
        .iter()
        .map(|one| starts.partition_point(|&at| at < start(one)));
    places.collect()
}

/// The elements of a list, in either of the ways in which TOML writes one.
fn elements(list: Option<&Item>) -> Vec<Item> {
    match list {
        Some(Item::ArrayOfTables(tables)) => tables.iter().cloned().map(Item::Table).collect(),
        Some(Item::Value(Value::Array(array))) => array.iter().cloned().map(Item::Value).collect(),
        _ => Vec::new(),
    }
}

/// The list `after` in the layout of `written`, which says the same as `before` in the order `order`.
fn merged(before: &[Item], after: &[Item], written: &[Item], order: &[usize]) -> Vec<Item> {
    let mut left: Vec<Option<usize>> = (0..before.len()).map(Some).collect();
    let mut take = |fits: &dyn Fn(&Item) -> bool| {
        let found = left
            .iter()
            .position(|at| at.is_some_and(|at| fits(&before[at])))?;
        let found = left[found]
            .take()
            .and_then(|at| written.get(*order.get(at)?));
        // A body's file is found from the place of this one, too.
        found.filter(|item| {
            item.as_table_like()
                .is_none_or(|table| !table.contains_key("file"))
        })
    };
    let kept = after.iter().map(|new| take(&|old| text(old) == text(new)));
    let mut kept: Vec<Option<Item>> = kept.map(Option::<&Item>::cloned).collect();
    // What changed keeps the comments before it.
    for (new, kept) in after.iter().zip(&mut kept) {
        if kept.is_none() {
            let mut changed = new.clone();
            if let Some(old) = take(&|old| key(old) == key(new)) {
                take_comments(&mut changed, old);
            }
            *kept = Some(changed);
        }
    }
    kept.into_iter().flatten().collect()
}

/// What an element is about: its first field that is no time.
fn key(element: &Item) -> Option<(String, String)> {
    let mut fields = element.as_table_like()?.iter();
    let (name, value) = fields.find(|(name, _)| *name != "at")?;
    Some((name.to_owned(), text(value)))
}

/// An item's text without what stands around it.
fn text(item: &Item) -> String {
    let mut item = item.clone();
    match &mut item {
        Item::Value(value) => value.decor_mut().clear(),
        Item::Table(table) => table.decor_mut().clear(),
        _ => {}
    }
    item.to_string().trim().to_owned()
}

fn take_comments(new: &mut Item, old: &Item) {
    let prefix = match old {
        Item::Value(value) => value.decor().prefix(),
        Item::Table(table) => table.decor().prefix(),
        _ => None,
    };
    let prefix = prefix.cloned().unwrap_or_else(|| RawString::from(""));
    match new {
        Item::Value(value) => value.decor_mut().set_prefix(prefix),
        Item::Table(table) => table.decor_mut().set_prefix(prefix),
        _ => {}
    }
}

/// Puts a list in the place of the one of the file, as the file writes it.
fn put(file: &mut DocumentMut, name: &str, list: Vec<Item>) {
    if list.is_empty() {
        file.remove(name);
        return;
    }
    let Some(Item::Value(Value::Array(array))) = file.get_mut(name) else {
        let tables: ArrayOfTables = list.into_iter().map(into_table).collect();
        file.insert(name, Item::ArrayOfTables(tables));
        return;
    };
    let mut changed = Array::new();
    for item in list {
        let is_bare = prefix_of(&item).is_none();
        let mut value = into_value(item);
        if is_bare {
            value.decor_mut().set_prefix("\n  ");
            value.decor_mut().set_suffix("");
        }
        changed.push_formatted(value);
    }
    changed.set_trailing(array.trailing().clone());
    changed.set_trailing_comma(array.trailing_comma());
    *array = changed;
}

/// What stands before an element of a list that is on a line of its own.
fn prefix_of(item: &Item) -> Option<&str> {
    let decor = item.as_value()?.decor();
    decor
        .prefix()?
        .as_str()
        .filter(|prefix| prefix.contains('\n'))
}

fn into_value(item: Item) -> Value {
    let value = match item {
        Item::Table(table) => Ok(Value::InlineTable(table.into_inline_table())),
        item => item.into_value(),
    };
    value.unwrap_or_else(|_| Value::InlineTable(InlineTable::new()))
}

fn into_table(item: Item) -> Table {
    item.into_table().unwrap_or_default()
}

/// Gives a field a value; what stands before its name stays.
fn replace(file: &mut DocumentMut, name: &str, new: Item) {
    match (file.get_mut(name), new) {
        (Some(Item::Value(old)), Item::Value(mut new)) => {
            *new.decor_mut() = old.decor().clone();
            *old = new;
        }
        (_, new) => {
            file.insert(name, new);
        }
    }
}
