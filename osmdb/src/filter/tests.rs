use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// A condition as the test understands it.
#[derive(Debug, Clone)]
enum Plain {
    Kinds(Vec<Kind>),
    Tag { sign: &'static str, key: String, value: String },
}

impl Plain {
    fn text(&self) -> String {
        let quoted = |text: &str| format!("\"{}\"", text.replace('\\', r"\\").replace('"', r#"\""#));
        match self {
            Self::Kinds(kinds) => kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(" | "),
            Self::Tag { sign: "", key, .. } => quoted(key),
            Self::Tag { sign: "!", key, .. } => format!("! {}", quoted(key)),
            Self::Tag { sign, key, value } => format!("{} {sign} {}", quoted(key), quoted(value)),
        }
    }

    fn holds(&self, kind: Kind, tags: &[(String, String)]) -> bool {
        let Self::Tag { sign, key, value } = self else {
            let Self::Kinds(kinds) = self else { return false };
            return kinds.contains(&kind);
        };
        let values: Vec<&str> = tags.iter().filter(|(k, _)| k == key).map(|(_, v)| v.as_str()).collect();
        match *sign {
            "" => !values.is_empty(),
            "!" => values.is_empty(),
            "=" => values.contains(&value.as_str()),
            "!=" => !values.contains(&value.as_str()),
            _ => {
                let part: Vec<char> = value.to_lowercase().chars().collect();
                values.iter().any(|found| {
                    let found: Vec<char> = found.to_lowercase().chars().collect();
                    (0..=found.len()).any(|at| found[at..].starts_with(&part))
                })
            }
        }
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[abAÉé=!~\"\\\\ |]{0,3}",
        Just("and".to_owned()),
        Just("a and b".to_owned()),
        Just("way".to_owned())
    ]
}

fn plain() -> impl Strategy<Value = Plain> {
    let sign = prop::sample::select(vec!["", "!", "=", "!=", "~="]);
    let kinds = prop::sample::subsequence(Kind::ALL.to_vec(), 3..=4);
    prop_oneof![
        1 => kinds.prop_map(Plain::Kinds),
        4 => (sign, text(), text()).prop_map(|(sign, key, value)| Plain::Tag { sign, key, value }),
    ]
}

proptest! {
    #[test]
    fn a_filter_is_its_conditions(
        conditions in vec(plain(), 1..4),
        elements in vec((0..4u8, vec((text(), text()), 0..4)), 1..8),
    ) {
        let written = conditions.iter().map(Plain::text).collect::<Vec<_>>().join("  and\t");
        let filter: Filter = written.parse().unwrap();
        prop_assert_eq!(filter.to_string().parse::<Filter>().unwrap(), filter.clone(), "{}", filter);
        for (kind, tags) in elements {
            let kind = Kind::from_code(kind).unwrap();
            let expected = conditions.iter().all(|condition| condition.holds(kind, &tags));
            prop_assert_eq!(filter.matches(kind, &tags.into_iter().collect()), expected, "{}", filter);
        }
    }

    #[test]
    fn any_text_is_a_filter_or_not(text in "[ab=!~\"\\\\ |é]{0,12}|(and|way|a|=|!| |\\||\"){0,9}") {
        if let Ok(filter) = text.parse::<Filter>() {
            prop_assert_eq!(filter.to_string().parse::<Filter>(), Ok(filter));
        }
    }
}

#[test]
fn plain_words_need_no_quotation_marks() {
    let new = Filter::new;
    let cases = [
        ("amenity=hospital", new().is("amenity", "hospital")),
        ("  highway  ", new().has("highway")),
        ("name ~= Saint Julia", new().contains("name", "Saint Julia")),
        ("name=a=b and !building", new().is("name", "a=b").lacks("building")),
        ("band=sand and land", new().is("band", "sand").has("land")),
        (
            "addr:street=Rue and\tway|relation",
            new().is("addr:street", "Rue").of(&[Kind::Way, Kind::Relation]),
        ),
        (
            "!node and access!=no",
            new().of(&[Kind::Way, Kind::Relation, Kind::Changeset]).is_not("access", "no"),
        ),
        ("\"way\"", new().has("way")),
        ("way=x", new().is("way", "x")),
        ("name=\"\"", new().is("name", "")),
        ("", new()),
        (" ", new()),
    ];
    for (text, filter) in cases {
        assert_eq!(text.parse(), Ok(filter), "{text}");
    }
}

#[test]
fn what_is_no_filter_is_refused_where_it_is_none() {
    let long = "a".repeat(MAX_FILTER_BYTES + 1);
    let many = ["a"; MAX_CONDITIONS + 1].join(" and ");
    let cases = [
        ("=x", 1, FilterProblem::NoKey),
        ("a and ", 7, FilterProblem::NoKey),
        ("é= and b", 3, FilterProblem::NoValue),
        ("a=", 3, FilterProblem::NoValue),
        ("a=\"b", 3, FilterProblem::Unclosed),
        ("\"a\\b\"", 1, FilterProblem::Escape),
        ("\"a\" \"b\"", 5, FilterProblem::NoAnd),
        ("a=\"b\"c", 6, FilterProblem::NoAnd),
        ("node|house", 1, FilterProblem::NoKind),
        ("a and node and way", 16, FilterProblem::NoneLeft),
        ("!a=b", 3, FilterProblem::Negated),
        (&long, 1, FilterProblem::TooLong),
        (&many, 6 * MAX_CONDITIONS + 1, FilterProblem::TooMany),
    ];
    for (text, at, problem) in cases {
        let error = text.parse::<Filter>().unwrap_err();
        assert_eq!((error.at, error.problem), (at, problem), "{text}");
    }
}
