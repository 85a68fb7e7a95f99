//! What separates fields and lines.

use super::case;
use crate::live::check::Wanted::At;
use crate::live::check::{Case, Test};

pub(super) const CASES: &[Case] = &[
    case!(
        "spaces-many",
        WhiteSpace,
        Must,
        &[],
        "Fields are separated by one or more spaces",
        "a split at each single space, which makes empty fields",
        Test::Lines(&[(b"IAMAT   {id}  +34.068930-118.445127      {now}", At)]),
    ),
    case!(
        "spaces-around",
        WhiteSpace,
        Must,
        &[],
        "Spaces before the first field and after the last one are ignored",
        "a comparison with the beginning of the line, or a split that makes empty fields",
        Test::Lines(&[
            (b"  IAMAT {id} +34.068930-118.445127 {now}", At),
            (b"IAMAT {id} +34.068930-118.445127 {now}  ", At),
        ]),
    ),
    case!(
        "tabs",
        WhiteSpace,
        Must,
        &[],
        "A tab separates fields as a space does",
        "a split at spaces alone",
        Test::Lines(&[(b"IAMAT\t{id}\t\t+34.068930-118.445127 \t{now}", At)]),
    ),
    case!(
        "carriage-return",
        WhiteSpace,
        Must,
        &[],
        "A carriage return before the line feed is white space",
        "a line that keeps its CR: the time is no number, or the answer has a CR in it",
        Test::Lines(&[
            (b"IAMAT {id} +34.068930-118.445127 {now}\r", At),
            (b"IAMAT {id} +34.068930-118.445127 {now} \r", At),
        ]),
    ),
    case!(
        "vertical-tab-form-feed",
        WhiteSpace,
        Must,
        &[],
        "Vertical tab and form feed separate fields, and end no line",
        "a split at spaces and tabs alone, or a split into lines that takes more than LF",
        Test::Lines(&[
            (b"IAMAT\x0b{id} +34.068930-118.445127 {now}", At),
            (b"IAMAT {id}\x0c+34.068930-118.445127 {now}", At),
        ]),
    ),
];
