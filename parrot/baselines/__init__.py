"""The paper's comparisons (section 5), one file each; `parrot.rl.algorithms` names them."""
