//! What is found some at a time, given one by one.

/// Gives what was found together one by one, or the error.
pub(super) fn each<T, E>(found: Result<Vec<T>, E>) -> impl Iterator<Item = Result<T, E>> {
    let (items, error) = match found {
        Ok(items) => (items, None),
        Err(error) => (Vec::new(), Some(error)),
    };
    items.into_iter().map(Ok).chain(error.map(Err))
}

#[cfg(test)]
mod tests {
    use super::each;

    #[test]
    fn items_or_the_error() {
        assert!(each::<_, ()>(Ok(vec![1, 2])).eq([Ok(1), Ok(2)]));
        assert!(each(Err::<Vec<u8>, _>("wrong")).eq([Err("wrong")]));
    }
}
