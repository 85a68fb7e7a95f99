//! A link that is taken out of the herd file, while its servers run.

use super::{Declaration, End, Operation, PLAIN, RandomDraw, Route, Shape, Target, Values, now};

pub(super) const KIND: Declaration = Declaration {
    name: "unlink",
    example: "`unlink = \"Riley-Juzang\"`, `relink = …`",
    models: "a herd file that is edited, and a reload",
    effect: "Both servers read a herd file without the link: they end it, and do not dial each other any more.",
    impact: "links that were up",
    targets: Shape::Links,
    state: "is no link any more",
    needs_time: Some("a change of the herd file"),
    drawn: Some(RandomDraw {
        about: "a link",
        draw: |draw| Some((vec![Target::Route(Route::Link(draw.link()?))], Values::default())),
    }),
    events: &["link-removed", "unlinked", "link-restored"],
    begin: |fault| now(links(&fault.targets).map(Operation::Unlink)),
    end: End::Step {
        word: "relink",
        effect: "Both servers read a herd file that has the link again.",
        end: |targets| links(targets).map(Operation::Relink).collect(),
    },
    ..PLAIN
};

fn links(targets: &[Target]) -> impl Iterator<Item = usize> {
    targets.iter().filter_map(|target| match target.route()? {
        Route::Link(at) => Some(at),
        Route::Clients | Route::Places => None,
    })
}
