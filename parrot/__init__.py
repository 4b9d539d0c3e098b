"""parrot: data-driven behavioral priors for reinforcement learning on robot arms (Singh et al., ICLR 2021)."""
