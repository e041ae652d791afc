"""VBench's eight dimensions that UnityVideo reports (Huang et al., CVPR 2024; github.com/Vchitect/VBench, 45e79ec)."""
