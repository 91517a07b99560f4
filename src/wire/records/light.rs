//! Signal states by the codes of the systems that control them.

use crate::observation::Light;

/// Tab-separated lines of system, code and light.
const TABLE: &str = include_str!("light_codes.tsv");

/// What `code` of `system` (`csae53`, `gbt20999`, `gat1049`) shows; `None` where the table has no
/// line for it, which holds for all codes that are not public.
pub fn light_of_code(system: &str, code: u64) -> Option<Light> {
    TABLE.lines().find_map(|line| {
        let mut cells = line.split('\t');
        let is_it = cells.next() == Some(system)
            && cells.next().and_then(|cell| cell.parse().ok()) == Some(code);
        let word = cells.next().filter(|_| is_it)?;
        Light::ALL.into_iter().find(|light| light.label() == word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_names_a_system_a_code_and_a_light() {
        let mut count = 0;
        for line in TABLE.lines().filter(|line| !line.starts_with('#')) {
            let cells: Vec<&str> = line.split('\t').collect();
            let [system, code, light] = cells[..] else {
                panic!("{line:?}")
            };
            let found = light_of_code(system, code.parse().unwrap());
            assert_eq!(found.map(Light::label), Some(light), "{line}");
            count += 1;
        }
        assert_eq!(count, 9);
        assert_eq!(light_of_code("gbt20999", 1), None);
    }
}
