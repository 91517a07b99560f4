//! Road names in Chinese and English, drawn from a seeded list so that no two roads share one.

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::network::RoadClass;

/// A name in both languages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) zh: String,
    pub(super) en: String,
}

impl Name {
    pub(super) fn new(zh: &str, en: &str) -> Self {
        Self {
            zh: zh.to_owned(),
            en: en.to_owned(),
        }
    }
}

/// Roots of road names (invented or common to many cities).
const ROOTS: [(&str, &str); 72] = [
    ("长风", "Changfeng"),
    ("凤鸣", "Fengming"),
    ("青云", "Qingyun"),
    ("望江", "Wangjiang"),
    ("白鹭", "Bailu"),
    ("映月", "Yingyue"),
    ("紫薇", "Ziwei"),
    ("松涛", "Songtao"),
    ("明德", "Mingde"),
    ("文昌", "Wenchang"),
    ("兴业", "Xingye"),
    ("和平", "Heping"),
    ("建设", "Jianshe"),
    ("友谊", "Youyi"),
    ("工农", "Gongnong"),
    ("朝阳", "Chaoyang"),
    ("临湖", "Linhu"),
    ("梅园", "Meiyuan"),
    ("桂花", "Guihua"),
    ("竹溪", "Zhuxi"),
    ("金桥", "Jinqiao"),
    ("石桥", "Shiqiao"),
    ("龙泉", "Longquan"),
    ("玉泉", "Yuquan"),
    ("云梦", "Yunmeng"),
    ("楚天", "Chutian"),
    ("荆花", "Jinghua"),
    ("橘洲", "Juzhou"),
    ("鹤林", "Helin"),
    ("琴音", "Qinyin"),
    ("洪福", "Hongfu"),
    ("东篱", "Dongli"),
    ("西亭", "Xiting"),
    ("南塘", "Nantang"),
    ("北辰", "Beichen"),
    ("启明", "Qiming"),
    ("光华", "Guanghua"),
    ("学府", "Xuefu"),
    ("书院", "Shuyuan"),
    ("科苑", "Keyuan"),
    ("创新", "Chuangxin"),
    ("银杏", "Yinxing"),
    ("海棠", "Haitang"),
    ("丁香", "Dingxiang"),
    ("芙蓉", "Furong"),
    ("荷塘", "Hetang"),
    ("柳岸", "Liu'an"),
    ("杨泗", "Yangsi"),
    ("古渡", "Gudu"),
    ("新港", "Xingang"),
    ("码头", "Matou"),
    ("盐仓", "Yancang"),
    ("铁机", "Tieji"),
    ("纱厂", "Shachang"),
    ("钟鼓", "Zhonggu"),
    ("花楼", "Hualou"),
    ("前进", "Qianjin"),
    ("胜利", "Shengli"),
    ("团结", "Tuanjie"),
    ("民生", "Minsheng"),
    ("仁和", "Renhe"),
    ("永安", "Yong'an"),
    ("安宁", "Anning"),
    ("太平", "Taiping"),
    ("康乐", "Kangle"),
    ("福星", "Fuxing"),
    ("锦绣", "Jinxiu"),
    ("彩虹", "Caihong"),
    ("晴川", "Qingchuan"),
    ("沧浪", "Canglang"),
    ("清潭", "Qingtan"),
    ("归元", "Guiyuan"),
];

/// Names of the river crossings, upstream to downstream, with what they are.
const CROSSINGS: [(&str, &str); 3] = [
    ("望江大桥", "Wangjiang Bridge"),
    ("云汉大桥", "Yunhan Bridge"),
    ("晴川隧道", "Qingchuan Tunnel"),
];

/// Hands out names.
#[derive(Debug)]
pub(super) struct Names {
    roots: Vec<(&'static str, &'static str)>,
    arterials: usize,
    streets: usize,
}

impl Names {
    pub(super) fn new(rng: &mut ChaCha8Rng) -> Self {
        let mut roots = ROOTS.to_vec();
        roots.shuffle(rng);
        Self {
            roots,
            arterials: 0,
            streets: 0,
        }
    }

    /// A name nobody has, fit for the class.
    pub(super) fn next(&mut self, class: RoadClass) -> Name {
        if class <= RoadClass::Secondary {
            let (zh, en) = self.roots[self.arterials % self.roots.len()];
            self.arterials += 1;
            let (zh_kind, en_kind) = if class <= RoadClass::Primary {
                ("大道", "Avenue")
            } else {
                ("路", "Road")
            };
            return Name::new(&format!("{zh}{zh_kind}"), &format!("{en} {en_kind}"));
        }
        const KINDS: [(&str, &str); 3] = [("街", "Street"), ("巷", "Lane"), ("里", "Alley")];
        const ORDINALS: [(&str, &str); 4] =
            [("", ""), ("一", " 1st"), ("二", " 2nd"), ("三", " 3rd")];
        let count = self.roots.len();
        // Streets begin in the second half of the list, away from the arterials' roots.
        let (zh, en) = self.roots[(self.streets + count / 2) % count];
        let round = self.streets / count;
        let (zh_kind, en_kind) = KINDS[round % KINDS.len()];
        let (zh_number, en_number) = ORDINALS[round / KINDS.len() % ORDINALS.len()];
        self.streets += 1;
        Name::new(
            &format!("{zh}{zh_number}{zh_kind}"),
            &format!("{en}{en_number} {en_kind}"),
        )
    }

    /// The avenue along the river on one bank.
    pub(super) fn riverside(is_north: bool) -> Name {
        if is_north {
            Name::new("滨江大道", "Riverside Avenue")
        } else {
            Name::new("临江大道", "Linjiang Avenue")
        }
    }

    /// The outer ring.
    pub(super) fn outer_ring() -> Name {
        Name::new("三环路", "Third Ring Road")
    }

    /// The elevated ring expressway.
    pub(super) fn ring() -> Name {
        Name::new("内环快速路", "Inner Ring Expressway")
    }

    /// The ring's bridges, upstream and downstream.
    pub(super) fn ring_bridge(is_upstream: bool) -> Name {
        if is_upstream {
            Name::new("白鹭洲长桥", "Bailuzhou Long Bridge")
        } else {
            Name::new("鹤林湾大桥", "Helin Bay Bridge")
        }
    }

    /// The expressways that leave the city.
    pub(super) fn radial(number: usize) -> Name {
        match number {
            0 => Name::new("机场高速", "Airport Expressway"),
            1 => Name::new("楚南高速", "Chunan Expressway"),
            2 => Name::new("江东高速", "Jiangdong Expressway"),
            _ => Name::new("汉西高速", "Hanxi Expressway"),
        }
    }

    /// The `number`-th crossing for ordinary traffic; the third is a tunnel.
    pub(super) fn crossing(number: usize) -> Name {
        let (zh, en) = CROSSINGS[number % CROSSINGS.len()];
        Name::new(zh, en)
    }
}
